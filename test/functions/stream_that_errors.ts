// Its answer begins well, and its stream fails in the middle.
export default (): Response => {
  let chunks = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (chunks++ < 3) controller.enqueue(new TextEncoder().encode('so far so good\n'));
      else controller.error(new Error('the stream failed'));
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/plain' } });
};
