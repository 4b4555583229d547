// Opens ports of the machine, by every way; the test tries to reach them from outside.
import http from 'node:http';
import net from 'node:net';
import { tries } from '../tries.ts';

const withPort = (server: net.Server, host: string) =>
  new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, host, () => resolve(`port ${(server.address() as net.AddressInfo).port}`));
  });

export default () =>
  tries({
    loopback: () => `port ${Deno.listen({ hostname: '127.0.0.1', port: 0 }).addr.port}`,
    everywhere: () => `port ${Deno.listen({ hostname: '0.0.0.0', port: 0 }).addr.port}`,
    six: () => `port ${Deno.listen({ hostname: '::', port: 0 }).addr.port}`,
    node_net: () => withPort(net.createServer(), '127.0.0.1'),
    node_http: () => withPort(http.createServer(), '127.0.0.1'),
    worker: () =>
      new Promise((resolve, reject) => {
        const source = "postMessage('port ' + Deno.listen({ hostname: '127.0.0.1', port: 0 }).addr.port)";
        const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: 'module' });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(event.message));
        };
      }),
  });
