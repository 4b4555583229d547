// Returns a Response whose body has been read.
export default async () => {
  const response = new Response('read');
  await response.text();
  return response;
};
