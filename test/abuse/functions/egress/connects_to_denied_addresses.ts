// Opens plain connections to a denied address in every spelling.
import net from 'node:net';
import tls from 'node:tls';
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, async (url) => {
    const address = /^http:\/\/\[?([^\]]*?)\]?:(\d+)\/$/.exec(url);
    const hostname = address?.[1] ?? '';
    const port = Number(address?.[2]);
    const opened = (socket: net.Socket, event: string) =>
      new Promise((resolve, reject) => {
        socket.on(event, () => resolve('open'));
        socket.on('error', reject);
      });
    const ways = [
      async () => `open ${(await Deno.connect({ hostname, port })).remoteAddr.transport}`,
      // A handshake that fails has reached it all the same; the test counts connections.
      async () => `open ${(await Deno.connectTls({ hostname, port })).remoteAddr.transport}`,
      () => opened(net.connect(port, hostname), 'connect'),
      () => opened(tls.connect(port, hostname), 'secureConnect'),
    ];
    return await Promise.any(ways.map(async (way) => await way()));
  });
