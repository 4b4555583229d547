/**
 * What Deno and V8 have found out about the function's module, taken out of and put into the databases that Deno keeps in
 * DENO_DIR: V8's code caches of the module and of those of Deno's own that it loads, and what the module imports, for
 * which Deno would parse it once more.
 */
import type { DatabaseSync } from 'node:sqlite';
import { IMPORTS_CACHE_FILE, V8_CACHE_FILE } from '../deno_dir.ts';

const PUT_V8 = 'INSERT OR REPLACE INTO codecache (specifier, type, source_hash, data) VALUES (?, ?, ?, ?)';
const GET_V8 = `SELECT 'v8' AS kind, specifier, type, CAST(source_hash AS TEXT) AS hash, data FROM codecache
  WHERE rowid > ?`;
const PUT_IMPORTS = `INSERT OR REPLACE INTO moduleinfocache (specifier, media_type, source_hash, module_info)
  VALUES (?, ?, ?, CAST(? AS TEXT))`;
const GET_IMPORTS = `SELECT 'imports' AS kind, specifier, media_type AS type, CAST(source_hash AS TEXT) AS hash,
  CAST(module_info AS BLOB) AS data FROM moduleinfocache WHERE specifier = ?`;

export interface ModuleCache {
  /** Puts in what `harvest` once took out; what does not fit is ignored by V8 and Deno. */
  seed(bytes: Uint8Array): void;
  /** What came about since it was opened, as opaque bytes; null if Deno has not written the cache of the module yet. */
  harvest(): Uint8Array | null;
  close(): void;
}

interface Row {
  kind: string;
  specifier: string;
  type: number;
  /** Decimal: it has 64 bits. */
  hash: string;
  data: Uint8Array;
}

/** Opens the databases while this process may still read them. `sqlite` is the module, loaded ahead. */
export function openModuleCache(
  sqlite: { DatabaseSync: new (path: string) => DatabaseSync },
  denoDir: string,
  specifier: string,
): ModuleCache | null {
  try {
    const v8 = new sqlite.DatabaseSync(`${denoDir}/${V8_CACHE_FILE}`);
    const imports = new sqlite.DatabaseSync(`${denoDir}/${IMPORTS_CACHE_FILE}`);
    for (const database of [v8, imports]) database.exec('PRAGMA synchronous=OFF');
    // What a blank process has loaded is there by itself.
    const { last } = v8.prepare('SELECT coalesce(max(rowid), 0) AS last FROM codecache').get() as {
      last: number;
    };
    return {
      seed(bytes) {
        const put = { v8: v8.prepare(PUT_V8), imports: imports.prepare(PUT_IMPORTS) };
        v8.exec('BEGIN');
        try {
          for (const { kind, specifier, type, hash, data } of unpack(bytes))
            put[kind === 'v8' ? 'v8' : 'imports'].run(specifier, type, BigInt(hash), data);
        } catch {
          // A number that is too large, say: a process of the function handed out what it liked.
        }
        v8.exec('COMMIT');
      },
      harvest() {
        const rows = v8.prepare(GET_V8).all(last) as unknown as Row[];
        if (!rows.some((row) => row.specifier === specifier)) return null;
        return pack([...rows, ...(imports.prepare(GET_IMPORTS).all(specifier) as unknown as Row[])]);
      },
      close() {
        v8.close();
        imports.close();
      },
    };
  } catch {
    return null; // another layout, or no database yet: the module is then parsed and compiled as usual
  }
}

/** Each row: the length of its head and of its data (32 bits each), the head, the data. */
function pack(rows: readonly Row[]): Uint8Array {
  const encoder = new TextEncoder();
  const heads = rows.map(({ kind, type, hash, specifier }) =>
    encoder.encode(`${kind} ${type} ${hash} ${specifier}`),
  );
  const lengths = rows.map(({ data }, index) => 8 + (heads[index]?.length ?? 0) + data.length);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [index, { data }] of rows.entries()) {
    const head = heads[index] ?? new Uint8Array();
    view.setUint32(at, head.length);
    view.setUint32(at + 4, data.length);
    bytes.set(head, at + 8);
    bytes.set(data, at + 8 + head.length);
    at += lengths[index] ?? 0;
  }
  return bytes;
}

/** Stops where the bytes are none that `pack` made. */
function unpack(bytes: Uint8Array): Row[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  const rows: Row[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const head = at + 8 + view.getUint32(at);
    const end = head + view.getUint32(at + 4);
    const text = decoder.decode(bytes.subarray(at + 8, head));
    const [, kind, type, hash, specifier] = /^(v8|imports) (\d+) (-?\d+) (\S+)$/.exec(text) ?? [];
    if (kind === undefined || type === undefined || hash === undefined || specifier === undefined) break;
    rows.push({ kind, specifier, type: Number(type), hash, data: bytes.subarray(head, end) });
    at = end;
  }
  return rows;
}
