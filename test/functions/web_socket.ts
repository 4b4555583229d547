// A WebSocket that echoes text and bytes; "close me" has it close; its log tells how the connection ended.
export default function answer(request: Request): Response {
  const url = new URL(request.url);
  if (url.searchParams.has('refuse')) return new Response('not you', { status: 403 });
  if (request.headers.get('upgrade') !== 'websocket') return new Response('no upgrade', { status: 426 });
  const protocol = request.headers.get('sec-websocket-protocol')?.split(',')[0]?.trim() ?? '';
  const { socket, response } = Deno.upgradeWebSocket(request, protocol === '' ? {} : { protocol });
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => socket.send(`open ${url.pathname}${url.search}`);
  socket.onmessage = (event) => {
    if (event.data === 'close me') socket.close(4002, 'as you wish');
    else socket.send(event.data);
  };
  socket.onclose = (event) => console.log(`closed ${event.code} ${event.reason}`);
  return response;
}
