/** What a process of a function does when it is told to trim its memory. */
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { become } from '../../test/support/deno_process.js';
import { findDeno } from './deno_binary.js';
import { type DenoProcess, spawnDeno } from './process.js';
import { findTools } from './sandbox.js';
import { chooseSandbox } from './sandbox_choice.js';

const tools = findTools(process.env.PATH);
const runnerPath = fileURLToPath(new URL('../../dist/pool/runner.js', import.meta.url));

/** Leaves some 50 MiB of garbage behind, hides what the runner could need, and tells when it has loaded. */
const LITTERS = `
  let held = Array.from({ length: 400_000 }, (_, n) => ({ n, text: 'text ' + n, more: [n] }));
  console.log(String(held.length));
  held = null;
  Deno.kill = () => { throw new Error('not this one') };
  export default () => 'ok';`;

const residentMib = ({ pid }: DenoProcess) =>
  (Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096) / 1024 / 1024;

let runDir: string;
beforeAll(async () => {
  runDir = await mkdtemp(join(tmpdir(), 'hearth-test-'));
  await chmod(runDir, 0o755);
});
afterAll(async () => {
  await rm(runDir, { recursive: true, force: true });
});

describe.runIf(process.platform === 'linux').each(['bwrap', 'permissions'] as const)('with %s', (kind) => {
  it.skipIf(kind === 'bwrap' && tools.bwrap === null)('it gives memory back and lives on', async () => {
    const sandbox = await chooseSandbox({
      asked: kind,
      tools,
      denoPath: findDeno(),
      runnerPath,
      runDir,
      denyNet: [],
      ipv6: false,
    });
    const id = kind === 'bwrap' ? 1 : 2;
    const spawned = await spawnDeno({
      id,
      runDir,
      sandbox,
      memoryMb: 128,
      net: true,
      runnerCache: null,
      readyTimeoutMs: 20_000,
    });
    try {
      const lines = await become(spawned, LITTERS);
      await expect.poll(() => lines).toEqual(['400000']);
      const before = residentMib(spawned);
      spawned.trim();
      await expect.poll(() => residentMib(spawned), { timeout: 20_000 }).toBeLessThan(before - 20);
      expect(await spawned.ping(20_000)).toBe(true);
      expect(spawned.state).toBe('live');
    } finally {
      spawned.kill('shutdown');
      await spawned.ended;
    }
  });
});
