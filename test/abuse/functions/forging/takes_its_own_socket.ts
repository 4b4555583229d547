// While it loads, removes the socket that it is called over, and listens there itself.
import { pathsOf } from './sockets.ts';

let taken = 'refused';
try {
  const path = pathsOf('s.sock').at(-1) ?? '';
  Deno.removeSync(path);
  taken = 'removed';
  const listener = Deno.listen({ transport: 'unix', path });
  taken = 'taken';
  void (async () => {
    for await (const connection of listener) {
      const answer = 'HTTP/1.1 200 OK\r\nx-hearth: forged\r\ncontent-length: 6\r\n\r\nforged';
      void connection.write(new TextEncoder().encode(answer));
    }
  })();
} catch {
  // as far as it got
}
export default () => taken;
