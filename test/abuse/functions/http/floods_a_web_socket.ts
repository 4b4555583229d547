// Sends 64 MB into a web socket without waiting, and never closes it.
export default (request: Request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onopen = () => {
    const part = 'x'.repeat(64 * 1024);
    for (let count = 0; count < 1024; count++) socket.send(part);
  };
  return response;
};
