// A greeting: the smallest useful function, open to everyone.
// @hearth:allow-unauthenticated
// @hearth:cors-origins *

export default function hello(request: Request): Response {
  const name = new URL(request.url).searchParams.get('name') ?? 'world';
  return Response.json({ message: `Hello, ${name}!` });
}
