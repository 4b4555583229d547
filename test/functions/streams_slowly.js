// Sends `?chunks=` lines, one every `?ms=` milliseconds, and holds the answer open for that long.
export default {
  fetch(request) {
    const { searchParams } = new URL(request.url);
    let left = Number(searchParams.get('chunks') ?? '10');
    const pause = Number(searchParams.get('ms') ?? '100');
    const body = new ReadableStream({
      async pull(controller) {
        if (left-- <= 0) return controller.close();
        controller.enqueue(new TextEncoder().encode(`line ${left}\n`));
        await new Promise((resolve) => setTimeout(resolve, pause));
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/plain' } });
  },
};
