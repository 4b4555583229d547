/** For functions that look for the platform's sockets: where they may be. */

/** Paths of the socket `name` in the folder of this process, by all that tells of it. */
export function pathsOf(name: 's.sock' | 'c.sock'): string[] {
  const paths = [...Deno.args, `/fn/run/${name}`];
  // A module that was loaded from a `data:` URL has no folder.
  const beside = URL.parse(`../run/${name}`, import.meta.url);
  if (beside !== null) paths.push(beside.pathname);
  return paths.filter((path) => path.endsWith(name));
}

/** A connection to it, if there is one to be had. */
export async function connectTo(name: 's.sock' | 'c.sock'): Promise<Deno.Conn> {
  return await Promise.any(pathsOf(name).map((path) => Deno.connect({ transport: 'unix', path })));
}
