/** The modules that a bundle is made of, as esbuild notes them in it: a comment before each, `// ../../npm/…/index.js`. */
import { createReadStream, existsSync } from 'node:fs';
import { basename, join, resolve, sep } from 'node:path';
import { createInterface } from 'node:readline';
import type { DenoPlaces } from './prepare_deno.js';
import { packageIn } from './prepare_explain.js';

const MAP = '//# sourceMappingURL=';

/**
 * Where a bundle holds a file that is neither the entry nor one of a fetched package: `require` takes any path, so a
 * package can ask for the server's own files, which then would be the function's. Null: there is none. Text that only
 * looks like a module's name is taken for one when there is such a file.
 *
 * @param seen the paths as Deno saw them, @param here as they are.
 */
export function strangerIn(text: string, seen: DenoPlaces, here: DenoPlaces): string | null {
  const packages = join(seen.denoDir, 'npm') + sep;
  for (const [, comment, wrapper] of text.matchAll(/^(?:\/\/ (.+)|\s*"(.+)"\((?:exports|\)))/gm)) {
    const name = (comment ?? wrapper ?? '').replace(/ with \{.*\}$/, '');
    if (name === 'entry.js' || name.includes('\0') || /^(deno:)?https?:\/\//.test(name)) continue;
    const path = resolve(seen.folder, name.replace(/^file:\/\//, ''));
    if (!path.startsWith(packages) && existsSync(onHost(path, seen, here))) return basename(path);
  }
  return null;
}

function onHost(path: string, seen: DenoPlaces, here: DenoPlaces): string {
  for (const place of ['folder', 'denoDir'] as const) {
    if (path.startsWith(seen[place])) return here[place] + path.slice(seen[place].length);
  }
  return path;
}

/** Which package, or URL, has the most bytes of a bundle; `name` is null if there is none. */
export async function heaviestOf(bundle: string): Promise<{ name: string | null; bytes: number }> {
  const sizes = new Map<string, number>();
  let current: string | null = null;
  const lines = createInterface({ input: createReadStream(bundle), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) {
    if (line.startsWith(MAP)) break;
    const [, path] = /^\/\/ (\S*\/\S+)$/.exec(line) ?? [];
    if (path !== undefined) current = packageIn(path) ?? path.replace(/^deno:/, '');
    else if (line === '// entry.js') current = null;
    else if (current !== null) sizes.set(current, (sizes.get(current) ?? 0) + Buffer.byteLength(line) + 1);
  }
  let heaviest: { name: string | null; bytes: number } = { name: null, bytes: 0 };
  for (const [name, bytes] of sizes) if (bytes > heaviest.bytes) heaviest = { name, bytes };
  return heaviest;
}
