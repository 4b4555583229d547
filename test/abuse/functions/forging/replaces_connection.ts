// Replaces how sockets are read and written, and so gets hold of those that are open already.
import { pathsOf } from './sockets.ts';
import { forge, handler, look, note } from './taken.ts';

const prototypes = new Set<Record<string, unknown>>();
for (const options of [
  ...pathsOf('s.sock').map((path) => ({ transport: 'unix' as const, path })),
  {
    hostname: new URL(Deno.env.get('HEARTH_URL') ?? 'http://x').hostname,
    port: Number(new URL(Deno.env.get('HEARTH_URL') ?? 'http://x').port),
  },
]) {
  try {
    const connection = await Deno.connect(options as Deno.ConnectOptions);
    for (let at = Object.getPrototypeOf(connection); at !== Object.prototype; at = Object.getPrototypeOf(at))
      prototypes.add(at);
    connection.close();
  } catch {
    // not by this way
  }
}
const decoder = new TextDecoder();
const encoder = new TextEncoder();
for (const prototype of prototypes) {
  for (const name of ['write', 'read']) {
    if (!Object.hasOwn(prototype, name)) continue;
    const original = prototype[name] as (bytes: Uint8Array) => Promise<number>;
    prototype[name] = async function (this: object, bytes: Uint8Array) {
      note(`a connection to ${name}`);
      if (name === 'read') return await original.call(this, bytes);
      const text = decoder.decode(bytes);
      look(text);
      await original.call(this, encoder.encode(forge(text)));
      return bytes.length;
    };
  }
}
export default handler;
