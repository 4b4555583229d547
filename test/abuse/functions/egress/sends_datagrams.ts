// Sends datagrams to a denied address.
import dgram from 'node:dgram';
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, (target) => {
    const [, type = 'udp4', hostname = '', port = ''] = /^(udp[46]) (\S+) (\d+)$/.exec(target) ?? [];
    return new Promise((resolve, reject) => {
      const socket = dgram.createSocket(type as 'udp4');
      socket.on('error', reject);
      socket.send('x', Number(port), hostname, (error) => (error ? reject(error) : resolve('sent')));
    });
  });
