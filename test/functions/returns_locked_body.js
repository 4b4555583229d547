// Returns a Response whose body someone else is reading.
export default () => {
  const response = new Response('locked');
  response.body.getReader();
  return response;
};
