/** Where the folders of a node and its processes are: on the disk, and in memory where there is room. */
import { existsSync, readlinkSync, statfsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findDeno } from './deno_binary.js';
import { createPool, type Pool } from './main.js';
import type { DenoProcess, ProcessEvents } from './process.js';
import { hasRoom, makeRunDir } from './run_dir.js';
import { findTools } from './sandbox.js';
import { chooseSandbox } from './sandbox_choice.js';

const SHARED = '/dev/shm';
const TMPFS = 0x01021994;
/** Above the largest process id that Linux gives out (proc(5), pid_max). */
const DEAD = 4_194_304;
const isSystemUser = (process.getuid?.() ?? 1000) < 1000;
const isUsable = isSystemUser && hasRoom(SHARED) && statfsSync(tmpdir()).type !== TMPFS;

const REQUEST: Parameters<Pool['claim']>[0] = {
  tenant: 'default',
  function: 'hello',
  memoryMb: 128,
  code: Promise.resolve({ code: Buffer.from('export default () => "hello";'), v8: null }),
  env: Promise.resolve({}),
  permissions: { net: true, env: false, read: false, write: false },
  tracing: { spans: false, logs: false },
  loadTimeoutMs: 20_000,
};
const EVENTS: ProcessEvents = { onLog() {}, onSpan() {}, onEnd() {}, onCodeCache() {} };

let memory: string;
let disk: string;
beforeEach(async () => {
  disk = await mkdtemp(join(tmpdir(), 'hearth-test-'));
  memory = await mkdtemp(join(existsSync(SHARED) ? SHARED : tmpdir(), 'hearth-test-'));
  for (const dir of [disk, memory]) await chmod(dir, 0o755);
});
afterEach(async () => {
  for (const dir of [disk, memory]) await rm(dir, { recursive: true, force: true });
});

it.runIf(isUsable)('one is in memory where that has room, and both go', async () => {
  const made = await makeRunDir(memory);
  expect(made.path.startsWith(join(tmpdir(), `hearth-run-${process.pid}-`))).toBe(true);
  expect(made.memory?.startsWith(join(memory, `hearth-run-${process.pid}-`))).toBe(true);
  await made.remove();
  expect(existsSync(made.path)).toBe(false);
  expect(await readdir(memory)).toEqual([]);
});

it('there is none in memory where that is a disk, or is not there', async () => {
  for (const shared of [disk, join(disk, 'missing')]) {
    const made = await makeRunDir(shared);
    expect(made.memory).toBeNull();
    expect(existsSync(made.path)).toBe(true);
    await made.remove();
  }
  expect(hasRoom(disk)).toBe(statfsSync(disk).type === TMPFS);
  expect(hasRoom(join(disk, 'missing'))).toBe(false);
});

it.runIf(isUsable)('what a dead node left in memory is removed, unless its id counts elsewhere', async () => {
  const space = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0];
  const others = [
    `hearth-run-${DEAD}-${Number(space) + 1}-abcdef`,
    `hearth-run-${process.ppid}-${space}-abcdef`,
  ];
  for (const name of [...others, `hearth-run-${DEAD}-${space}-abcdef`])
    await mkdir(join(memory, name, 'p1'), { recursive: true });
  await (await makeRunDir(memory)).remove();
  expect((await readdir(memory)).sort()).toEqual(others.sort());
});

it.runIf(isUsable && findTools(process.env.PATH).bwrap !== null)(
  'processes are in memory, and on the disk once that is gone',
  async () => {
    const runnerPath = fileURLToPath(new URL('../../dist/pool/runner.js', import.meta.url));
    const sandbox = await chooseSandbox({
      ...{ asked: 'bwrap', tools: findTools(process.env.PATH), denoPath: findDeno(), runnerPath },
      ...{ runDir: disk, denyNet: [], ipv6: false },
    });
    const blanks: DenoProcess[] = [];
    const pool = await createPool({
      runDir: disk,
      memoryDir: memory,
      sandbox,
      cacheDir: join(disk, 'cache'),
      size: 1,
      onBlank: (blank) => void blanks.push(blank),
      onEnded: () => {},
      onSpawned: () => {},
      onError: (error) => expect.unreachable(String(error)),
    });
    try {
      await expect.poll(() => blanks.length, { timeout: 20_000 }).toBe(1);
      expect(blanks[0]?.sockets.http.startsWith(`${memory}/p`)).toBe(true);
      await expect.poll(() => hasRunnerCache(join(disk, 'cache')), { timeout: 20_000 }).toBe(true); // its maker needs no folder now
      await rm(memory, { recursive: true });
      await expect(pool.claim(REQUEST, EVENTS, () => {})).rejects.toThrow(); // its code is gone; another takes its place
      await expect.poll(() => blanks.length, { timeout: 20_000 }).toBe(2);
      expect(blanks[1]?.sockets.http.startsWith(`${disk}/p`)).toBe(true);
      expect(await blanks[1]?.ping(20_000)).toBe(true);
    } finally {
      await pool.stop();
    }
  },
);

async function hasRunnerCache(dir: string): Promise<boolean> {
  const names = await readdir(dir).catch(() => []);
  return names.some((name) => !name.endsWith('.part'));
}
