// Its answer begins at once and ends when it is told so: its execution is under way while others attack it.
const waiting: (() => void)[] = [];
export default (request: Request) => {
  if (request.url.endsWith('?release')) {
    for (const release of waiting.splice(0)) release();
    return 'released';
  }
  console.log('the victim’s own line');
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('the victim’s '));
      waiting.push(() => {
        controller.enqueue(new TextEncoder().encode('answer'));
        controller.close();
      });
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/plain' } });
};
