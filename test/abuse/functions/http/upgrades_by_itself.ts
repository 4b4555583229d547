// Answers with 101 to who did not ask for it, and keeps the connection.
export default () => {
  const { response } = Deno.upgradeWebSocket(
    new Request('http://x', {
      headers: {
        upgrade: 'websocket',
        connection: 'upgrade',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-version': '13',
      },
    }),
  );
  return response;
};
