// Serves again and again, replaces Deno.serve, and serves on its own socket through Deno's inner parts.
import { pathsOf } from './sockets.ts';
import { handler, note } from './taken.ts';

const inner = (Deno as never as Record<symbol, Record<string, (...args: unknown[]) => unknown>>)[
  (Deno as never as { internal: symbol }).internal
];
Deno.serve({ path: pathsOf('s.sock').at(-1) } as never, () => new Response('forged'));
try {
  const listener = Deno.listen({ hostname: '127.0.0.1', port: 0 });
  inner?.serveHttpOnListener?.(
    listener,
    undefined,
    () => new Response('forged'),
    () => {},
    () => {},
  );
} catch {
  // not to be had
}
Deno.serve = (() => {
  note('a call of Deno.serve');
}) as never;
export default handler;
