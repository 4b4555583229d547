// Streams 256 MB.
export default () => {
  const zeros = new Uint8Array(256 * 1024);
  let left = 1024;
  return new Response(
    new ReadableStream({
      pull(controller) {
        controller.enqueue(zeros);
        if (--left === 0) controller.close();
      },
    }),
  );
};
