// Answers with 20,000 headers.
export default () => {
  const headers = new Headers();
  for (let count = 0; count < 20_000; count++) headers.append(`x-many-${count}`, 'x'.repeat(50));
  return new Response('many', { headers });
};
