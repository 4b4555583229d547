// Answers with when it was started, and then goes on working in the way that the query names.
const started = crypto.randomUUID();

async function turns() {
  for (;;) {
    const until = performance.now() + 50;
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

const burn = 'for (;;);';

export default async (request: Request): Promise<Response> => {
  switch (new URL(request.url).search) {
    case '?loop':
      setTimeout(() => {
        for (;;);
      });
      break;
    case '?turns':
      void turns();
      break;
    case '?worker':
      new Worker(`data:text/javascript,${burn}`, { type: 'module' });
      await new Promise(() => {});
      break;
    case '?lines':
      for (let line = 0; line < 5_000; line++) console.log(line);
      break;
    case '?headers':
      return new Response('', { headers: { 'x-long': 'x'.repeat(70_000) } });
    case '?bytes':
      return new Response('x'.repeat(30_000));
    case '?stream':
      return new Response(
        new ReadableStream({
          pull(controller) {
            controller.enqueue(new Uint8Array(10_000));
          },
        }),
      );
  }
  return new Response(started);
};
