// Connects to the platform's own sockets of the file system: database, processes of others.
import net from 'node:net';
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const ways = [
      () => Deno.connect({ transport: 'unix', path }),
      () =>
        new Promise((resolve, reject) => {
          const socket = net.connect(path);
          socket.once('connect', () => resolve('open'));
          socket.once('error', reject);
        }),
      () => fetch('http://x/', { client: Deno.createHttpClient({ proxy: { transport: 'unix', path } }) }),
    ];
    return await Promise.any(ways.map(async (way) => await way()));
  });
