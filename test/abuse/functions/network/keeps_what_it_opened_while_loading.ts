// Has no network, but opens its connections while its module loads, when the process may have more.
import { tries } from '../tries.ts';

const url = new URL(Deno.env.get('HEARTH_URL') ?? 'http://127.0.0.1:9');
const target = { hostname: url.hostname, port: Number(url.port) };
let connection: Deno.TcpConn | undefined;
const opened = await tries({
  connect: async () => {
    connection = await Deno.connect(target);
    return 'open';
  },
  fetch: async () => (await fetch(new URL('/healthz', url))).status,
});
export default async () => ({
  ...opened,
  ...(await tries({
    kept: async () => {
      if (connection === undefined) throw new Error('none');
      await connection.write(new TextEncoder().encode('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'));
      const bytes = new Uint8Array(100);
      const read = await connection.read(bytes);
      return new TextDecoder().decode(bytes.subarray(0, read ?? 0));
    },
  })),
});
