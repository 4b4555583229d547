/** What a process is left with behind each kind of walls, with Deno's own permissions out of the way. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { become } from '../../test/support/deno_process.js';
import { findDeno } from './deno_binary.js';
import { spawnDeno } from './process.js';
import { findTools, launchCommand, type Sandbox } from './sandbox.js';
import { chooseSandbox } from './sandbox_choice.js';

const tools = findTools(process.env.PATH);
const runnerPath = fileURLToPath(new URL('../../dist/pool/runner.js', import.meta.url));
const asRoot = process.getuid?.() === 0;
let base: string;
let probe: string;
let last = 0;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'hearth-test-'));
  await chmod(base, 0o755);
  probe = join(base, 'probe.js');
  await writeFile(probe, PROBE, { mode: 0o644 });
});
afterAll(async () => {
  await rm(base, { recursive: true, force: true });
});

async function choose(
  asked: 'auto' | 'bwrap' | 'permissions',
  given: Partial<Parameters<typeof chooseSandbox>[0]> = {},
) {
  const runDir = join(base, `run${++last}`);
  await mkdir(runDir);
  return await chooseSandbox({
    asked,
    tools,
    denoPath: findDeno(),
    runnerPath,
    runDir,
    denyNet: [],
    ipv6: false,
    ...given,
  });
}

/** Runs the probe where a process of ours would run the runner, with every permission of Deno's. */
async function look(sandbox: Sandbox, net: boolean): Promise<Record<string, unknown>> {
  const dir = join(base, `p${++last}`);
  const user = sandbox.users?.take() ?? null;
  for (const name of ['', 'run', 'code', 'deno', 'tmp']) {
    await mkdir(join(dir, name), { recursive: true });
    if (user !== null) await chown(join(dir, name), user, user);
  }
  const launch = launchCommand(sandbox, { dir, memoryMb: 128, net, user, runnerCache: false });
  const args = launch.args.filter((arg) => !/^--(allow|deny)-/.test(arg));
  args.splice(args.indexOf('run') + 1, 0, '--allow-all');
  const filter = launch.filter === null ? 'ignore' : openSync(launch.filter, 'r');
  const child = spawn(launch.command, args, {
    env: launch.env,
    cwd: dir,
    ...(launch.startAs === null ? {} : { uid: launch.startAs, gid: launch.startAs }),
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', filter],
  });
  if (filter !== 'ignore') closeSync(filter);
  (child.stdio[3] as Readable).resume(); // 'close' waits for every pipe to be read
  let output = '';
  let errors = '';
  child.stdout?.on('data', (chunk) => {
    output += String(chunk);
  });
  child.stderr?.on('data', (chunk) => {
    errors += String(chunk);
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(errors).toBe('');
  expect(code).toBe(0);
  return JSON.parse(output) as Record<string, unknown>;
}

/** Everything that the process can list, and what comes of what it tries. */
const PROBE = `
const tried = async (attempt) => { try { return await attempt() } catch (error) { return error.message } };
const list = (path) => [...Deno.readDirSync(path || '/')].map(({ name, isDirectory }) => isDirectory ? list(path + '/' + name) : path + '/' + name).flat();
const files = Deno.env.get('RUNNER_PATHS').startsWith('/fn') ? list('') : [];
const scratch = Deno.env.get('RUNNER_PATHS').split('\\n')[5];
const block = new Uint8Array(1024 * 1024);
let filled = 0;
const fill = () => { const file = Deno.openSync(scratch + '/full', { create: true, append: true }); while (filled < 100) { file.writeSync(block); filled++ } };
console.log(JSON.stringify({
  files,
  uid: Deno.uid(),
  environment: Object.keys(Deno.env.toObject()).sort(),
  written: await tried(() => Deno.writeTextFileSync(files.length ? '/etc/made' : '/made', '')),
  code: await tried(() => Deno.writeTextFileSync('/fn/code/made', '')),
  inet: await tried(async () => (await Deno.connect({ hostname: '127.0.0.1', port: 9 })).close()),
  inet6: await tried(async () => (await Deno.connect({ hostname: '::1', port: 9 })).close()),
  full: files.length ? await tried(fill) : '',
  filled,
  program: await tried(() => new Deno.Command(Deno.execPath(), { args: ['--version'] }).outputSync().success),
  limits: files.length ? '' : Deno.readTextFileSync('/proc/self/limits'),
  status: files.length ? '' : Deno.readTextFileSync('/proc/self/status'),
}));
Deno.exit(0);
`;

describe.runIf(tools.bwrap !== null)('behind bubblewrap', () => {
  let sandbox: Sandbox;
  let seen: Record<string, unknown>;
  beforeAll(async () => {
    sandbox = await choose('auto');
    // The trial wants a runner that says that it is ready; from here on it is the probe.
    await writeFile(join(sandbox.root ?? '', 'runner.js'), PROBE);
    seen = await look(sandbox, true);
  });

  it('works here, and is what is taken without being asked for', () => {
    expect(sandbox).toMatchObject({ kind: 'bwrap', users: asRoot ? expect.anything() : null });
  });

  it('a process sees the libraries that Deno is linked to, and nothing of the machine', () => {
    const files = (seen.files as string[])
      .filter((path) => !/^\/lib(64)?\/.*\.so(\.\d+)*$|^\/fn\/deno\//.test(path))
      .sort();
    expect(files).toEqual([
      '/deno',
      '/etc/hosts',
      '/etc/nsswitch.conf',
      '/etc/resolv.conf',
      '/prlimit',
      '/proc/self/exe',
      '/runner.js',
    ]);
    for (const name of seen.environment as string[])
      expect(name).toMatch(/^(DENO_\w+|MALLOC_ARENA_MAX|NO_COLOR|PATH|PWD|RUNNER_PATHS)$/);
    // Without /dev/null no other program can even be started.
    expect(seen.program).toMatch(/No such file/);
  });

  it('it can write to its scratch folder alone, and only so much', () => {
    expect(seen.written).toMatch(/Read-only file system/);
    expect(seen.code).toMatch(/Read-only file system/);
    expect(seen.full).toMatch(/No space left on device/);
    expect(seen.filled).toBeGreaterThan(50);
    expect(seen.filled).toBeLessThanOrEqual(64);
  });

  it('it has IPv4 where the function has a network, and no IPv6 unless that is on', async () => {
    expect(seen.inet).toMatch(/Connection refused/);
    expect(seen.inet6).toMatch(/Address family not supported/);
    const none = await look(sandbox, false);
    expect(none.inet).toMatch(/Address family not supported/);
  });

  it('it may speak IPv6 when that is on', async () => {
    const chosen = await choose('bwrap', { ipv6: true });
    await writeFile(join(chosen.root ?? '', 'runner.js'), PROBE);
    expect((await look(chosen, true)).inet6).not.toMatch(/Address family not supported/);
  });

  it('is not taken where it does not work, and the reason is told', async () => {
    const broken = { ...tools, bwrap: '/bin/false' };
    await expect(choose('bwrap', { tools: broken })).rejects.toThrow(/^HEARTH_SANDBOX asks for bwrap, but /);
    expect(await choose('auto', { tools: broken })).toMatchObject({
      kind: 'permissions',
      reason: expect.stringContaining('bubblewrap does not work here'),
    });
  });
});

describe.runIf(process.platform === 'linux')('without bubblewrap', () => {
  it.runIf(asRoot)('as root each process is another user, who cannot look at the others', async () => {
    const sandbox = await choose('auto', { tools: { ...tools, bwrap: null } });
    expect(sandbox).toMatchObject({ kind: 'permissions' });
    expect(sandbox.reason).toMatch(/bubblewrap \(bwrap\) is not installed; each process has a user id/);
    const seen = await look({ ...sandbox, runnerPath: probe }, true);
    expect(seen.uid).toBeGreaterThanOrEqual(1_879_048_192);
    expect(seen.status).toMatch(/CapPrm:\s+0+\nCapEff:\s+0+\nCapBnd:\s+0+\n/);
    expect(seen.status).toMatch(/NoNewPrivs:\s+1/);
    expect(seen.written).toMatch(/Permission denied/);
  });

  it('a process has limits: memory, open files, the size of a file, and no core dumps', async () => {
    const sandbox = await choose('permissions');
    const { limits } = await look({ ...sandbox, runnerPath: probe }, true);
    expect(limits).toMatch(/Max data size\s+788529152\s/);
    expect(limits).toMatch(/Max open files\s+1024\s/);
    expect(limits).toMatch(/Max file size\s+134217728\s/);
    expect(limits).toMatch(/Max core file size\s+0\s/);
    if (asRoot) expect(limits).toMatch(/Max processes\s+\d+\s/);
  });
});

describe.each(['bwrap', 'permissions'] as const)('a process that is ready, with %s,', (kind) => {
  it.skipIf(kind === 'bwrap' && tools.bwrap === null)('has no way left to its sockets', async () => {
    const sandbox = await choose(kind);
    const runDir = join(base, `run${last}`);
    const process = await spawnDeno({
      id: 1,
      runDir,
      sandbox,
      memoryMb: 128,
      net: true,
      runnerCache: null,
      readyTimeoutMs: 20_000,
    });
    try {
      const code = `
        const tried = async (attempt) => { try { return await attempt() } catch (error) { return error.name } };
        const run = ${JSON.stringify(kind === 'bwrap' ? '/fn/run' : join(runDir, 'p1/run'))};
        console.log(JSON.stringify([
          await tried(() => Deno.readTextFileSync('/etc/hosts')),
          await tried(() => [...Deno.readDirSync(run)]),
          await tried(() => Deno.writeTextFileSync(run + '/x', '')),
          await tried(() => Deno.removeSync(run + '/s.sock')),
          await tried(() => Deno.connect({ transport: 'unix', path: run + '/c.sock' })),
          await tried(() => Deno.connect({ transport: 'unix', path: run + '/s.sock' })),
          await tried(() => import('file:///etc/hosts', { with: { type: 'text' } })),
          Object.keys(Deno.env.toObject()),
        ]));
        export default () => 'ok';`;
      const lines = await become(process, code, { GIVEN: '1' });
      await expect.poll(() => lines.length).toBeGreaterThan(0);
      const outcomes = JSON.parse(lines[0] ?? '') as unknown[];
      expect(outcomes.slice(0, 6)).toEqual(new Array(6).fill('NotCapable'));
      expect(outcomes[6]).toBe('TypeError');
      expect(outcomes[7]).toEqual(['GIVEN']);
      // Nor a folder that it could fill: the machine's other end of it is gone.
      expect(existsSync(join(runDir, 'p1/run'))).toBe(false);
      expect(existsSync(process.sockets.http)).toBe(true);
    } finally {
      process.kill('shutdown');
      await process.ended;
    }
  });
});
