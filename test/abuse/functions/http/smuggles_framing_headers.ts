// Sets the headers that say where its answer ends, against what its body is.
export default (request: Request) => {
  const { searchParams } = new URL(request.url);
  const headers = new Headers({ 'content-type': 'text/plain' });
  for (const [name, value] of searchParams) if (name !== 'stream') headers.append(name, value);
  const text = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged';
  if (!searchParams.has('stream')) return new Response(text, { headers });
  return new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(text));
        controller.close();
      },
    }),
    { headers },
  );
};
