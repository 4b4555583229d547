import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createCodeCache } from './code_cache.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearth-code-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const hashOf = (code: string) => createHash('sha256').update(code).digest('hex');
const code = (letter: string, bytes = 100) => letter.repeat(bytes);
const engine = 'deno-1-test';
const [one, other] = [randomUUID(), randomUUID()];
const none = async () => null;
const never = async (): Promise<never> => {
  throw new Error('must not be loaded');
};

it('loads once, then answers from memory, from disk after a restart, with V8 cache beside it', async () => {
  const cache = await createCodeCache({ dir, engine, maxBytes: 1000 });
  const hash = hashOf(code('a'));
  let loads = 0;
  const load = async () => {
    loads++;
    return code('a');
  };
  const answers = await Promise.all(Array.from({ length: 20 }, () => cache.get(hash, load)));
  expect(loads).toBe(1);
  expect(answers.every((answer) => answer.toString() === code('a'))).toBe(true);
  expect(await cache.v8(one, hash, none)).toBeNull();
  await cache.putV8(one, hash, Buffer.from('v8'));
  expect(String(await cache.v8(one, hash, never))).toBe('v8');
  expect(await readFile(join(dir, hash, 'main.js'), 'utf8')).toBe(code('a'));

  const again = await createCodeCache({ dir, engine, maxBytes: 1000 });
  expect((await again.get(hash, never)).toString()).toBe(code('a'));
  expect(String(await again.v8(one, hash, never))).toBe('v8');
  expect(again.stats()).toEqual({ hits: 1, misses: 0, bytes: 102, evictions: 0 });
});

it("gives V8's cache to who gave it, and to nobody else who has the same code", async () => {
  const cache = await createCodeCache({ dir, engine, maxBytes: 1000 });
  const hash = hashOf(code('a'));
  await cache.get(hash, async () => code('a'));
  await cache.putV8(one, hash, Buffer.from('forged'));
  expect(await cache.v8(other, hash, none)).toBeNull();
  expect(String(await cache.v8(other, hash, async () => Buffer.from('own')))).toBe('own');
  for (const memoryBytes of [0, 1000]) {
    const again = await createCodeCache({ dir, engine, maxBytes: 1000, memoryBytes });
    expect(String(await again.v8(one, hash, never))).toBe('forged');
    expect(String(await again.v8(other, hash, never))).toBe('own');
    expect(again.stats().bytes).toBe(109);
  }
  await expect(cache.v8('../x', hash, none)).rejects.toThrow('not an owner');
});

it("lets V8's caches of another engine go", async () => {
  const cache = await createCodeCache({ dir, engine, maxBytes: 1000 });
  const hash = hashOf(code('a'));
  await cache.get(hash, async () => code('a'));
  await cache.putV8(one, hash, Buffer.from('v8'));
  const upgraded = await createCodeCache({ dir, engine: 'deno-2-test', maxBytes: 1000 });
  expect(await upgraded.v8(one, hash, none)).toBeNull();
  expect(await readdir(join(dir, hash))).toEqual(['main.js']);
});

it('evicts what was used least recently, also at a restart with less room', async () => {
  const cache = await createCodeCache({ dir, engine, maxBytes: 250, memoryBytes: 0 });
  for (const letter of ['a', 'b', 'a', 'c']) await cache.get(hashOf(code(letter)), async () => code(letter));
  expect((await readdir(dir)).sort()).toEqual([hashOf(code('a')), hashOf(code('c'))].sort());
  expect(cache.stats()).toEqual({ hits: 1, misses: 3, bytes: 200, evictions: 1 });

  const smaller = await createCodeCache({ dir, engine, maxBytes: 100 });
  expect(await readdir(dir)).toHaveLength(1);
  expect(smaller.stats().bytes).toBe(100);
});

it('does not keep on disk what is larger than the bound, nor V8 cache of what is not kept', async () => {
  const cache = await createCodeCache({ dir, engine, maxBytes: 50 });
  const hash = hashOf(code('a'));
  expect(await cache.get(hash, async () => code('a'))).toHaveLength(100);
  await cache.putV8(one, hash, Buffer.from('v8'));
  expect(await readdir(dir)).toEqual([]);
});

it('loads damaged code again, and removes what was left half written', async () => {
  const hash = hashOf(code('a'));
  await mkdir(join(dir, hash));
  await writeFile(join(dir, hash, 'main.js'), 'damaged');
  await writeFile(join(dir, hash, `${one}.${engine}.v8.part-1`), 'half');
  await mkdir(join(dir, hashOf('empty')));
  const warnings: string[] = [];
  const cache = await createCodeCache({
    dir,
    engine,
    maxBytes: 1000,
    onWarning: (message) => warnings.push(message),
  });
  expect((await cache.get(hash, async () => code('a'))).toString()).toBe(code('a'));
  expect(warnings.join()).toContain('does not match its hash');
  expect(await readFile(join(dir, hash, 'main.js'), 'utf8')).toBe(code('a'));
  expect(await readdir(dir)).toEqual([hash]);
  expect(await readdir(join(dir, hash))).toEqual(['main.js']);
});

it('refuses code that is missing or is not what the hash says, and a hash that is a path', async () => {
  const cache = await createCodeCache({ dir, engine, maxBytes: 1000 });
  await expect(cache.get(hashOf('a'), async () => null)).rejects.toThrow('no code');
  await expect(cache.get(hashOf('a'), async () => 'b')).rejects.toThrow('does not match');
  await expect(cache.get('../../etc', never)).rejects.toThrow('not a SHA-256 hash');
  await expect(cache.get(hashOf('a'), async () => 'a')).resolves.toBeDefined();
});

it('serves from memory and its origin when the disk cannot be written', async () => {
  const blocked = join(dir, 'file');
  await writeFile(blocked, 'not a folder');
  const warnings: string[] = [];
  const cache = await createCodeCache({
    dir: blocked,
    engine,
    maxBytes: 1000,
    onWarning: (message) => warnings.push(message),
  });
  const hash = hashOf('a');
  expect((await cache.get(hash, async () => 'a')).toString()).toBe('a');
  expect((await cache.get(hash, never)).toString()).toBe('a');
  expect(warnings.length).toBeGreaterThan(0);
});
