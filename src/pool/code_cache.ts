/** Functions' code on this node's disk, by content hash, with V8's code cache beside it and a small memory in front. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import { createByteLru } from './code_cache_lru.js';

export interface CodeCacheOptions {
  /** Belongs to the cache alone: `<dir>/<hash>/main.js` and `v8.bin`. Created if it is missing. */
  dir: string;
  /** Bytes on disk, V8's caches included; the least recently used code goes first. */
  maxBytes: number;
  /** Bytes in memory. Default 64 MiB. */
  memoryBytes?: number;
  /** A disk that is full or read-only: code is then served from memory and its origin. */
  onWarning?: (message: string) => void;
}

export interface CachedCode {
  code: Buffer;
  /** What `putV8` was given; null if there is none. */
  v8: Buffer | null;
}

export interface CodeCache {
  /**
   * The code whose SHA-256 is `hash` (64 hex digits), from memory, disk or `load`, in that order. Concurrent calls share one load.
   * Throws when `load` has none, or what it has does not match the hash.
   */
  get(hash: string, load: () => Promise<string | null>): Promise<CachedCode>;
  /** Keeps V8's code cache beside code that is on disk; does nothing for other code. */
  putV8(hash: string, bytes: Uint8Array): Promise<void>;
  stats(): { hits: number; misses: number; bytes: number; evictions: number };
}

const MIB = 1024 * 1024;
const HASH = /^[0-9a-f]{64}$/;
const PART = '.part-';

/** Opens the cache and finds what an earlier run left in it. */
export async function createCodeCache(options: CodeCacheOptions): Promise<CodeCache> {
  const { dir } = options;
  const memory = createByteLru<CachedCode>(options.memoryBytes ?? 64 * MIB);
  const disk = createByteLru<true>(options.maxBytes);
  const loading = new Map<string, Promise<CachedCode>>();
  const counts = { hits: 0, misses: 0, evictions: 0 };
  const warn = (doing: string, thrown: unknown) =>
    options.onWarning?.(`The code cache in ${dir} could not ${doing}: ${messageOf(thrown)}`);

  for (const found of await scan(dir, warn)) disk.set(found.hash, true, found.bytes);
  await evict();

  return {
    async get(hash, load) {
      if (!HASH.test(hash)) throw new Error(`not a SHA-256 hash: ${hash}`);
      const known = memory.get(hash);
      if (known !== undefined) {
        counts.hits++;
        disk.get(hash);
        return known;
      }
      let pending = loading.get(hash);
      if (pending === undefined) {
        pending = find(hash, load).finally(() => loading.delete(hash));
        loading.set(hash, pending);
      }
      return pending;
    },
    async putV8(hash, bytes) {
      if (disk.get(hash) === undefined) return;
      const held = memory.get(hash);
      if (held !== undefined) remember(hash, { code: held.code, v8: Buffer.from(bytes) });
      try {
        await writeWhole(join(dir, hash, 'v8.bin'), bytes);
        const { size } = await stat(join(dir, hash, 'main.js'));
        disk.set(hash, true, size + bytes.byteLength);
        await evict();
      } catch (thrown) {
        warn("keep V8's code cache", thrown); // a full or read-only disk, or the folder has just gone
      }
    },
    stats: () => ({ ...counts, bytes: disk.bytes() }),
  };

  async function find(hash: string, load: () => Promise<string | null>): Promise<CachedCode> {
    const kept = disk.get(hash) === undefined ? undefined : await readKept(hash);
    if (kept !== undefined) {
      counts.hits++;
      remember(hash, kept);
      return kept;
    }
    counts.misses++;
    const text = await load();
    if (text === null) throw new Error(`there is no code with the hash ${hash}`);
    const fresh = { code: Buffer.from(text), v8: null };
    if (sha256(fresh.code) !== hash) throw new Error(`the code does not match its hash ${hash}`);
    remember(hash, fresh);
    await keep(hash, fresh.code);
    return fresh;
  }

  async function readKept(hash: string): Promise<CachedCode | undefined> {
    const folder = join(dir, hash);
    try {
      const code = await readFile(join(folder, 'main.js'));
      if (sha256(code) === hash) {
        const now = new Date();
        await utimes(folder, now, now).catch((thrown: unknown) => warn('note a use', thrown)); // a read-only disk
        return { code, v8: await readIfThere(join(folder, 'v8.bin')) };
      }
      warn('use damaged code', `${hash} does not match its hash and is loaded again`);
    } catch (thrown) {
      warn('read', thrown); // gone or unreadable: as good as never kept
    }
    await drop(hash);
    return undefined;
  }

  async function keep(hash: string, code: Buffer) {
    if (code.byteLength > options.maxBytes) return;
    try {
      await mkdir(join(dir, hash), { recursive: true });
      await writeWhole(join(dir, hash, 'main.js'), code);
      disk.set(hash, true, code.byteLength);
      await evict();
    } catch (thrown) {
      warn('write', thrown); // a full or read-only disk: memory and the origin still serve
    }
  }

  async function evict() {
    for (const hash of disk.excess()) {
      counts.evictions++;
      await drop(hash);
    }
  }

  async function drop(hash: string) {
    disk.delete(hash);
    try {
      await rm(join(dir, hash), { recursive: true, force: true });
    } catch (thrown) {
      warn('delete', thrown);
    }
  }

  function remember(hash: string, entry: CachedCode) {
    memory.set(hash, entry, entry.code.byteLength + (entry.v8?.byteLength ?? 0));
    for (const old of memory.excess()) memory.delete(old);
  }
}

interface Found {
  hash: string;
  bytes: number;
  usedAt: number;
}

/** Least recently used first; what a killed process left half written is removed. */
async function scan(dir: string, warn: (doing: string, thrown: unknown) => void): Promise<Found[]> {
  const found: Found[] = [];
  try {
    await mkdir(dir, { recursive: true });
    for (const hash of await readdir(dir)) {
      if (HASH.test(hash)) {
        const entry = await measure(join(dir, hash), hash);
        if (entry !== undefined) found.push(entry);
      }
    }
  } catch (thrown) {
    warn('be read', thrown);
  }
  return found.sort((a, b) => a.usedAt - b.usedAt);
}

async function measure(folder: string, hash: string): Promise<Found | undefined> {
  let bytes = 0;
  let whole = false;
  for (const name of await readdir(folder)) {
    if (name.includes(PART)) {
      await rm(join(folder, name), { force: true });
      continue;
    }
    bytes += (await stat(join(folder, name))).size;
    whole ||= name === 'main.js';
  }
  if (whole) return { hash, bytes, usedAt: (await stat(folder)).mtimeMs };
  await rm(folder, { recursive: true, force: true });
  return undefined;
}

async function writeWhole(path: string, bytes: Uint8Array) {
  const part = `${path}${PART}${randomUUID()}`;
  try {
    await writeFile(part, bytes, { mode: 0o600 });
    await rename(part, path);
  } catch (thrown) {
    await rm(part, { force: true });
    throw thrown;
  }
}

async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
