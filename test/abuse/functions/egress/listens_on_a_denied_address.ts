// Listens on a denied address, and on all addresses at once.
import net from 'node:net';
import { tries } from '../tries.ts';

const through = (host: string) =>
  new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, host, () => resolve(server.address()));
  });

export default () =>
  tries({
    denied: () => Deno.listen({ hostname: '127.0.0.2', port: 0 }).addr,
    denied_by_node: () => through('127.0.0.2'),
    everywhere: () => Deno.listen({ hostname: '0.0.0.0', port: 0 }).addr,
    everywhere_by_node: () => through('0.0.0.0'),
    six: () => Deno.listen({ hostname: '::', port: 0 }).addr,
  });
