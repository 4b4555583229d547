// Has no network, and connects by every way.
import dgram from 'node:dgram';
import http from 'node:http';
import net from 'node:net';
import { tries } from '../tries.ts';

export default async (request: Request) => {
  const { url } = await request.json();
  const { hostname, port } = new URL(url);
  const opened = (socket: { once(event: string, then: (value?: unknown) => void): unknown }, event: string) =>
    new Promise((resolve, reject) => {
      socket.once(event, () => resolve('open'));
      socket.once('error', reject);
    });
  return await tries({
    fetch: () => fetch(url),
    connect: () => Deno.connect({ hostname, port: Number(port) }),
    node_net: () => opened(net.connect(Number(port), hostname), 'connect'),
    node_http: () => opened(http.get(url), 'response'),
    web_socket: () =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(url.replace('http', 'ws'));
        socket.onopen = resolve;
        socket.onerror = () => reject(new Error('refused'));
      }),
    event_source: () =>
      new Promise((resolve, reject) => {
        const source = new EventSource(url);
        source.onopen = resolve;
        source.onerror = () => reject(new Error('refused'));
      }),
    datagram: () =>
      new Promise((resolve, reject) =>
        dgram
          .createSocket('udp4')
          .send('x', Number(port), hostname, (error) => (error ? reject(error) : resolve('sent'))),
      ),
    listen: () => Deno.listen({ hostname: '127.0.0.1', port: 0 }).addr,
    import: () => import(`${url}/x.js`),
    worker: () =>
      new Promise((resolve, reject) => {
        const source = `postMessage(await (await fetch('${url}')).text())`;
        const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: 'module' });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(event.message));
        };
      }),
    worker_from_there: () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(`${url}/x.js`, { type: 'module' });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(event.message));
        };
      }),
    name: () => Deno.resolveDns('localhost', 'A', { nameServer: { ipAddr: hostname, port: Number(port) } }),
  });
};
