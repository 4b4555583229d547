// Answers with headers that are for one hop only.
export default () =>
  new Response('x', {
    headers: {
      connection: 'close, x-execution-id',
      'keep-alive': 'timeout=9999',
      upgrade: 'h2c',
      'proxy-authenticate': 'Basic',
      trailer: 'x-late',
      'x-request-id': 'forged',
    },
  });
