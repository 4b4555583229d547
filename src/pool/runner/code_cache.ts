/** V8's code cache of the function's module, taken out of and put into the cache database that Deno keeps in DENO_DIR. */
import type { DatabaseSync } from 'node:sqlite';

/** Deno 2.9's database: table codecache (specifier, type, source_hash, data). Another layout makes this a no-op. */
const FILE = 'v8_code_cache_v2';

export interface ModuleCache {
  /** Puts in what `harvest` once took out; a cache that does not fit is ignored by V8. */
  seed(bytes: Uint8Array): void;
  /** The cache of the module as opaque bytes; null if Deno has not written it. */
  harvest(): Uint8Array | null;
  close(): void;
}

/** Opens the database while this process may still read it. `sqlite` is the module, loaded ahead. */
export function openModuleCache(
  sqlite: { DatabaseSync: new (path: string) => DatabaseSync },
  denoDir: string,
  specifier: string,
): ModuleCache | null {
  try {
    const database = new sqlite.DatabaseSync(`${denoDir}/${FILE}`);
    database.exec('PRAGMA synchronous=OFF');
    return {
      seed(bytes) {
        const [type, hash] = new TextDecoder().decode(bytes.subarray(0, 64)).trim().split(' ');
        if (type === undefined || hash === undefined) return;
        database
          .prepare(
            'INSERT OR REPLACE INTO codecache (specifier, type, source_hash, data) VALUES (?, ?, ?, ?)',
          )
          .run(specifier, Number(type), BigInt(hash), bytes.subarray(64));
      },
      harvest() {
        const row = database
          .prepare('SELECT type, CAST(source_hash AS TEXT) AS hash, data FROM codecache WHERE specifier = ?')
          .get(specifier) as { type: number; hash: string; data: Uint8Array } | undefined;
        if (row === undefined) return null;
        const head = new TextEncoder().encode(`${row.type} ${row.hash}`.padEnd(64));
        const bytes = new Uint8Array(head.length + row.data.length);
        bytes.set(head);
        bytes.set(row.data, head.length);
        return bytes;
      },
      close: () => database.close(),
    };
  } catch {
    return null; // another layout, or no database yet: the module is then compiled as usual
  }
}
