// Well-behaved: says which call it answers.
const secret = 'canary-in-the-neighbours-code';
export default (request: Request) => {
  const number = new URL(request.url).searchParams.get('n');
  return new Response(`neighbour ${number}`, { headers: { 'x-secret-length': String(secret.length) } });
};
