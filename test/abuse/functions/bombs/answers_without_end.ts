// Streams zeros for as long as anyone takes them.
export default () => {
  const zeros = new Uint8Array(64 * 1024);
  return new Response(
    new ReadableStream({
      pull(controller) {
        controller.enqueue(zeros);
      },
    }),
  );
};
