// The proxy of (b), run by proxy.mjs. Argument: the Unix socket to forward to.
import { createServer } from 'node:http';
import { Pool } from 'undici';

const pool = new Pool('http://function.internal', { socketPath: process.argv[2], connections: 64 });

const server = createServer((incoming, outgoing) => {
  const { method, url, headers } = incoming;
  const body = method === 'GET' || method === 'HEAD' ? null : incoming;
  pool
    .stream({ path: url, method, headers: { ...headers, connection: undefined }, body }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      return outgoing;
    })
    .catch(() => outgoing.destroy());
});

server.listen(0, '127.0.0.1', () => console.log('port', server.address().port));
