// Says that a long answer follows, sends a little of it, and ends its process.
export default () => {
  setTimeout(() => Deno.exit(0), 50);
  return new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('a little'));
      },
    }),
    { headers: { 'content-length': '1000000' } },
  );
};
