// Opens UDP ports.
import dgram from 'node:dgram';
import { tries } from '../tries.ts';

export default () =>
  tries({
    deno: () => Deno.listenDatagram({ transport: 'udp', hostname: '127.0.0.1', port: 0 }).addr,
    node: () =>
      new Promise((resolve, reject) => {
        const socket = dgram.createSocket('udp4');
        socket.on('error', reject);
        socket.bind(0, '127.0.0.1', () => resolve(socket.address()));
      }),
  });
