// Connects to a name, and answers itself which address the name has.
import http from 'node:http';
import net from 'node:net';
import { tries } from '../tries.ts';

export default async (request: Request) => {
  const { denied } = await request.json();
  const { hostname, port } = new URL(denied);
  const lookup = (_: string, options: { all?: boolean }, done: (...args: unknown[]) => void) =>
    options.all ? done(null, [{ address: hostname, family: 4 }]) : done(null, hostname, 4);
  return await tries({
    net: () =>
      new Promise((resolve, reject) => {
        const socket = net.connect({ host: 'allowed.example', port: Number(port), lookup: lookup as never });
        socket.on('connect', () => resolve('open'));
        socket.on('error', reject);
      }),
    http: () =>
      new Promise((resolve, reject) => {
        const options = { host: 'allowed.example', port: Number(port), lookup: lookup as never };
        http.get(options, (answer) => resolve(answer.statusCode)).on('error', reject);
      }),
    name_server: () =>
      Deno.resolveDns('allowed.example', 'A', { nameServer: { ipAddr: hostname, port: Number(port) } }),
  });
};
