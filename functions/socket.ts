// Echoes each message of a WebSocket in capitals.
// @hearth:allow-unauthenticated
// @hearth:timeout 300

export default function socket(request: Request): Response {
  if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') {
    return new Response('Connect with a WebSocket.\n', { status: 426, headers: { upgrade: 'websocket' } });
  }
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onmessage = (event) => socket.send(String(event.data).toUpperCase());
  return response;
}
