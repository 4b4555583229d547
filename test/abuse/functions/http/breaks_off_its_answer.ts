// Begins an answer, and lets its stream fail.
export default () =>
  new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('the beginning'));
      },
      pull(controller) {
        controller.error(new Error('broken off'));
      },
    }),
  );
