// Counts down as server-sent events, one a second: each line reaches the client as it is written.
// @hearth:allow-unauthenticated

export default {
  fetch(request: Request): Response {
    const from = Math.min(Number(new URL(request.url).searchParams.get('from') ?? 3) || 3, 20);
    const body = new ReadableStream<string>({
      async start(controller) {
        for (let left = from; left >= 0 && !request.signal.aborted; left--) {
          controller.enqueue(`data: ${JSON.stringify({ left })}\n\n`);
          if (left > 0) await new Promise((resolve) => setTimeout(resolve, 1000));
        }
        controller.close();
      },
    });
    return new Response(body.pipeThrough(new TextEncoderStream()), {
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' },
    });
  },
};
