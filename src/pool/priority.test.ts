/** Functions' processes come after the node's own. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findDeno } from './deno_binary.js';
import { NICE, stayNice } from './priority.js';
import { spawnDeno } from './process.js';
import { findTools } from './sandbox.js';
import { chooseSandbox } from './sandbox_choice.js';

const tools = findTools(process.env.PATH);

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearth-test-'));
  await chmod(dir, 0o755);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Of each thread, as stat(5) has it: the 19th field, the 17th after the name. */
const threads = (pid: number) =>
  readdirSync(`/proc/${pid}/task`).map((thread) =>
    Number(
      readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')[16],
    ),
  );

describe.runIf(process.platform === 'linux').each(['bwrap', 'permissions'] as const)('with %s', (kind) => {
  it.skipIf(kind === 'bwrap' && tools.bwrap === null)(
    'all threads of a process, and its session, have a lower priority than the node',
    async () => {
      const sandbox = await chooseSandbox({
        ...{ asked: kind, tools, denoPath: findDeno(), denyNet: [], ipv6: false, runDir: dir },
        runnerPath: fileURLToPath(new URL('../../dist/pool/runner.js', import.meta.url)),
      });
      const spawned = await spawnDeno({
        ...{
          id: 1,
          runDir: dir,
          sandbox,
          memoryMb: 128,
          net: true,
          readyTimeoutMs: 20_000,
          runnerCache: null,
        },
      });
      try {
        const pid = spawned.pid ?? 0;
        await expect.poll(() => new Set(threads(pid))).toEqual(new Set([NICE]));
        const group = `/proc/${pid}/autogroup`;
        if (existsSync(group))
          await expect.poll(() => readFileSync(group, 'utf8'), { timeout: 10_000 }).toMatch(/ nice 10\n$/);
        expect(getPriority(process.pid)).toBeLessThan(NICE);
      } finally {
        spawned.kill('shutdown');
        await spawned.ended;
      }
    },
  );
});

it('a process that has ended is nobody’s concern', async () => {
  await expect(stayNice(2 ** 22 + 1)).resolves.toBeUndefined();
});
