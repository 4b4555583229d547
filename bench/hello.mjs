// The function that every peer serves, as source text: what differs between them is what is around it.

export const HELLO = `function hello(request) {
  const name = new URL(request.url).searchParams.get('name') ?? 'world';
  return Response.json({ message: \`Hello, \${name}!\` });
}`;

export const ANSWER = '{"message":"Hello, world!"}';
