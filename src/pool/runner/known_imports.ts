/**
 * What Deno would parse a module for before V8 does: what it imports. A prepared module imports nothing but what Deno has
 * itself, so it may as well be told, and the parser stays where it is: 2 MiB of Deno that a process never touches.
 */
import type { DatabaseSync } from 'node:sqlite';
import { IMPORTS_CACHE_FILE } from '../deno_dir.ts';

/** Nothing that Deno would have to fetch; 1 is its number for JavaScript. */
const PUT = `INSERT OR REPLACE INTO moduleinfocache (specifier, media_type, source_hash, module_info)
  VALUES (?, 1, ?, '{}')`;

export interface KnownImports {
  /** Deno need not look for imports in this module. `sourceHash`: see source_hash.ts; another one is ignored. */
  addNone(specifier: string, sourceHash: string): void;
  close(): void;
}

/** Opens Deno's database while this process may still write to it; null where it has another layout: modules are parsed then. */
export function openKnownImports(
  sqlite: { DatabaseSync: new (path: string) => DatabaseSync },
  denoDir: string,
): KnownImports | null {
  try {
    const database = new sqlite.DatabaseSync(`${denoDir}/${IMPORTS_CACHE_FILE}`);
    database.exec('PRAGMA synchronous=OFF');
    const statement = database.prepare(PUT);
    const put = statement.run.bind(statement);
    put('', 0n); // what the first one takes longer for is done
    return {
      addNone(specifier, sourceHash) {
        try {
          put(specifier, BigInt(sourceHash));
        } catch {
          // Deno is at it: it parses the module then.
        }
      },
      close: database.close.bind(database),
    };
  } catch {
    return null;
  }
}
