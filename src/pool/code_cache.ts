/** Functions' code on this node's disk, by content hash, V8's code caches of it beside it, and a small memory in front. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import { createByteLru } from './code_cache_lru.js';

export interface CodeCacheOptions {
  /** Belongs to the cache alone: `<dir>/<hash>/main.js` and `<owner>.<engine>.v8`. Created if it is missing. */
  dir: string;
  /** What V8's caches depend on besides the code: word characters, `.` and `-`. Those of others are removed. */
  engine: string;
  /** Bytes on disk, V8's caches included; the least recently used code goes first. */
  maxBytes: number;
  /** Bytes in memory. Default 64 MiB. */
  memoryBytes?: number;
  /** A disk that is full or read-only: code is then served from memory and its origin. */
  onWarning?: (message: string) => void;
}

export interface CodeCache {
  /**
   * The code whose SHA-256 is `hash` (64 hex digits), from memory, disk or `load`, in that order. Concurrent calls share one load.
   * Throws when `load` has none, or what it has does not match the hash.
   */
  get(hash: string, load: () => Promise<string | null>): Promise<Buffer>;
  /**
   * V8's code cache of it that `owner` (a UUID) once gave, from memory, disk or `load`; null if there is none. It was made
   * by code that nobody trusts: whoever else has the same code gets none of it.
   */
  v8(owner: string, hash: string, load: () => Promise<Buffer | null>): Promise<Buffer | null>;
  /** Keeps it beside code that is on disk; does nothing for other code. */
  putV8(owner: string, hash: string, bytes: Buffer): Promise<void>;
  stats(): { hits: number; misses: number; bytes: number; evictions: number };
}

const MIB = 1024 * 1024;
const HASH = /^[0-9a-f]{64}$/;
const OWNER = /^[0-9a-f-]{36}$/;
const CODE = 'main.js';
const PART = '.part-';

/** Opens the cache and finds what an earlier run left in it. */
export async function createCodeCache(options: CodeCacheOptions): Promise<CodeCache> {
  const { dir } = options;
  const memory = createByteLru<Buffer>(options.memoryBytes ?? 64 * MIB);
  /** Bytes of each hash's folder. */
  const disk = createByteLru<number>(options.maxBytes);
  const loading = new Map<string, Promise<Buffer>>();
  const counts = { hits: 0, misses: 0, evictions: 0 };
  const warn = (doing: string, thrown: unknown) =>
    options.onWarning?.(`The code cache in ${dir} could not ${doing}: ${messageOf(thrown)}`);

  for (const found of scan(dir, `.${options.engine}.v8`, warn))
    disk.set(found.hash, found.bytes, found.bytes);
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
    async v8(owner, hash, load) {
      const known = memory.get(`${hash} ${owner}`);
      if (known !== undefined) return known;
      const kept = disk.get(hash) === undefined ? null : await readV8(v8Path(owner, hash));
      if (kept !== null) {
        remember(`${hash} ${owner}`, kept);
        return kept;
      }
      const loaded = await load();
      if (loaded !== null) await keepV8(owner, hash, loaded);
      return loaded;
    },
    putV8: keepV8,
    stats: () => ({ ...counts, bytes: disk.bytes() }),
  };

  async function find(hash: string, load: () => Promise<string | null>): Promise<Buffer> {
    const kept = disk.get(hash) === undefined ? undefined : await readKept(hash);
    if (kept !== undefined) {
      counts.hits++;
      remember(hash, kept);
      return kept;
    }
    counts.misses++;
    const text = await load();
    if (text === null) throw new Error(`there is no code with the hash ${hash}`);
    const fresh = Buffer.from(text);
    if (sha256(fresh) !== hash) throw new Error(`the code does not match its hash ${hash}`);
    remember(hash, fresh);
    await keep(hash, fresh);
    return fresh;
  }

  async function readKept(hash: string): Promise<Buffer | undefined> {
    const folder = join(dir, hash);
    try {
      const code = await readFile(join(folder, CODE));
      if (sha256(code) === hash) {
        const now = new Date();
        await utimes(folder, now, now).catch((thrown: unknown) => warn('note a use', thrown)); // a read-only disk
        return code;
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
      await writeWhole(join(dir, hash, CODE), code);
      disk.set(hash, code.byteLength, code.byteLength);
      await evict();
    } catch (thrown) {
      warn('write', thrown); // a full or read-only disk: memory and the origin still serve
    }
  }

  function v8Path(owner: string, hash: string): string {
    if (!OWNER.test(owner) || !HASH.test(hash)) throw new Error(`not an owner and a hash: ${owner}, ${hash}`);
    return join(dir, hash, `${owner}.${options.engine}.v8`);
  }

  async function readV8(path: string): Promise<Buffer | null> {
    try {
      return await readFile(path);
    } catch (thrown) {
      if (!isMissing(thrown)) warn("read V8's code cache", thrown); // as good as never kept
      return null;
    }
  }

  async function keepV8(owner: string, hash: string, bytes: Buffer) {
    const path = v8Path(owner, hash);
    if (disk.get(hash) === undefined) return;
    remember(`${hash} ${owner}`, bytes);
    try {
      await writeWhole(path, bytes);
      const { size } = await stat(path);
      const total = (disk.get(hash) ?? 0) + size;
      disk.set(hash, total, total);
      await evict();
    } catch (thrown) {
      warn("keep V8's code cache", thrown); // a full or read-only disk, or the folder has just gone
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

  function remember(key: string, bytes: Buffer) {
    memory.set(key, bytes, bytes.byteLength);
    for (const old of memory.excess()) memory.delete(old);
  }
}

interface Found {
  hash: string;
  bytes: number;
  usedAt: number;
}

/** Least recently used first. What a killed process left half written is removed, and what another engine made. */
function scan(dir: string, v8: string, warn: (doing: string, thrown: unknown) => void): Found[] {
  const found: Found[] = [];
  try {
    mkdirSync(dir, { recursive: true });
    for (const hash of readdirSync(dir)) {
      if (HASH.test(hash)) {
        const entry = measure(join(dir, hash), hash, v8);
        if (entry !== undefined) found.push(entry);
      }
    }
  } catch (thrown) {
    warn('be read', thrown);
  }
  return found.sort((a, b) => a.usedAt - b.usedAt);
}

/** At once: thousands of turns through the thread pool would take a second of a node's start. */
function measure(folder: string, hash: string, v8: string): Found | undefined {
  let bytes = 0;
  let whole = false;
  for (const name of readdirSync(folder)) {
    if (name !== CODE && !name.endsWith(v8)) {
      rmSync(join(folder, name), { force: true });
      continue;
    }
    bytes += statSync(join(folder, name)).size;
    whole ||= name === CODE;
  }
  if (whole) return { hash, bytes, usedAt: statSync(folder).mtimeMs };
  rmSync(folder, { recursive: true, force: true });
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

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
