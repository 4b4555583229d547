// Says that a long answer follows, sends a little of it, and ends its process.
export default () => {
  return new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('a little'));
      },
      // Asked for more: what there was is on its way.
      pull() {
        setTimeout(() => Deno.exit(0), 50);
      },
    }),
    { headers: { 'content-length': '1000000' } },
  );
};
