/** The walls around a Deno process: which command line starts one, and which walls work on this machine. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';

/** `bwrap`: namespaces that hold nothing else (bubblewrap). `permissions`: Deno's own permissions alone. */
export type SandboxKind = 'bwrap' | 'permissions';

/** The programs that build the walls, as found on this machine; null where there is none. */
export interface SandboxTools {
  bwrap: string | null;
  prlimit: string | null;
  setpriv: string | null;
}

export interface Sandbox {
  kind: SandboxKind;
  tools: SandboxTools;
  /** Why this kind, in a few words for the start-up output. */
  reason: string;
}

export interface LaunchOptions {
  denoPath: string;
  /** The runner's one file. */
  runnerPath: string;
  /** The process's own folder on the host, with `code/` (read-only inside) and `run/` below it. */
  dir: string;
  /** MiB of V8 heap; the hard cap on all memory follows from it. */
  memoryMb: number;
  /** False: no network at all. */
  net: boolean;
}

export interface Launch {
  command: string;
  args: string[];
  env: Record<string, string>;
  /** The paths as the process sees them. */
  inside: { code: string; run: string };
  /** Whether the process's own pid is written as JSON to file descriptor 3. */
  tellsPid: boolean;
}

/**
 * MiB of data segment that V8 reserves before the first allocation (its code range counts), measured on Deno 2.9:
 * RLIMIT_DATA has to leave room for it.
 */
const V8_RESERVED_MB = 560;
/** MiB that a Deno process needs beside the function's own heap. */
const RUNTIME_MB = 64;

export function findTools(path: string | undefined): SandboxTools {
  const find = (name: string) =>
    (path ?? '')
      .split(delimiter)
      .concat('/usr/bin', '/bin', '/usr/sbin', '/sbin')
      .map((folder) => join(folder, name))
      .find((candidate) => existsSync(candidate)) ?? null;
  if (process.platform !== 'linux') return { bwrap: null, prlimit: null, setpriv: null };
  return { bwrap: find('bwrap'), prlimit: find('prlimit'), setpriv: find('setpriv') };
}

/** The strongest sandbox that works here, or the one that was asked for; null if that one does not work. */
export async function chooseSandbox(
  asked: 'auto' | SandboxKind,
  tools: SandboxTools,
  launch: Pick<LaunchOptions, 'denoPath' | 'runnerPath' | 'dir'>,
): Promise<Sandbox | null> {
  if (asked === 'permissions') return { kind: 'permissions', tools, reason: 'as HEARTH_SANDBOX asks' };
  if (tools.bwrap === null) {
    return asked === 'bwrap'
      ? null
      : { kind: 'permissions', tools, reason: 'bubblewrap (bwrap) is not installed' };
  }
  const failure = await tryBubblewrap(tools, launch);
  if (failure === null) return { kind: 'bwrap', tools, reason: 'bubblewrap works here' };
  return asked === 'bwrap'
    ? null
    : { kind: 'permissions', tools, reason: `bubblewrap does not work here (${failure})` };
}

/** Runs `deno --version` behind the walls. */
async function tryBubblewrap(
  tools: SandboxTools,
  options: Pick<LaunchOptions, 'denoPath' | 'runnerPath' | 'dir'>,
): Promise<string | null> {
  const sandbox: Sandbox = { kind: 'bwrap', tools, reason: '' };
  const launch = launchCommand(sandbox, { ...options, memoryMb: 128, net: true });
  const args = [
    ...launch.args.slice(0, launch.args.indexOf('--', launch.args.indexOf('--info-fd')) + 1),
    '/deno',
    '--version',
  ];
  return await new Promise((resolve) => {
    const child = spawn(launch.command, args, {
      env: launch.env,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    (child.stdio[3] as Readable | null)?.resume(); // 'close' waits for every pipe to be read
    child.stderr?.on('data', (chunk) => {
      stderr = (stderr + String(chunk)).slice(-500);
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve(code === 0 ? null : (stderr.trim().split('\n').at(-1) ?? '') || `exit ${code ?? signal}`);
    });
  });
}

/** The whole command line of one blank process. */
export function launchCommand(sandbox: Sandbox, options: LaunchOptions): Launch {
  const walled = sandbox.kind === 'bwrap' && sandbox.tools.bwrap !== null;
  const inside = walled
    ? { code: '/fn/code', run: '/fn/run' }
    : { code: join(options.dir, 'code'), run: join(options.dir, 'run') };
  const scratch = walled ? '/tmp' : join(options.dir, 'run', 'tmp');
  const denoDir = join(inside.run, 'deno');
  const deno = walled ? '/deno' : options.denoPath;
  const runner = walled ? '/runner.js' : options.runnerPath;

  const command: string[] = [];
  const { setpriv, prlimit, bwrap } = sandbox.tools;
  if (setpriv !== null && !walled) command.push(setpriv, '--pdeathsig', 'KILL', '--');
  if (prlimit !== null) {
    const bytes = (V8_RESERVED_MB + RUNTIME_MB + options.memoryMb) * 1024 * 1024;
    command.push(prlimit, `--data=${bytes}`, '--core=0', '--nofile=1024', '--');
  }
  if (walled && bwrap !== null) command.push(bwrap, ...walls(options));
  command.push(
    deno,
    'run',
    '--no-prompt',
    '--no-config',
    '--no-lock',
    '--no-npm',
    '--no-remote',
    '--unstable-no-legacy-abort',
    `--v8-flags=--max-old-space-size=${options.memoryMb}`,
    `--allow-read=${inside.run},${inside.code},${scratch}`,
    `--allow-write=${inside.run},${scratch}`,
    '--allow-env',
    '--allow-net',
    runner,
    join(inside.run, 's.sock'),
    join(inside.run, 'f.sock'),
    join(inside.run, 'progress'),
    join(inside.run, 'c.sock'),
    denoDir,
    scratch,
  );
  return {
    command: command[0] ?? deno,
    args: command.slice(1),
    env: { DENO_DIR: denoDir, NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1', PATH: '/usr/bin:/bin' },
    inside,
    tellsPid: walled,
  };
}

/** bubblewrap's arguments: an empty root with what a function needs bound in, and namespaces of its own. */
function walls(options: LaunchOptions): string[] {
  const readable = [
    '/lib',
    '/lib64',
    '/usr/lib',
    '/etc/ssl',
    '/etc/resolv.conf',
    '/etc/hosts',
    '/etc/nsswitch.conf',
    '/usr/share/zoneinfo',
  ];
  return [
    '--die-with-parent',
    '--new-session',
    '--unshare-user',
    '--unshare-pid',
    '--unshare-ipc',
    '--unshare-uts',
    '--unshare-cgroup-try',
    ...(options.net ? [] : ['--unshare-net']),
    '--uid',
    '65534',
    '--gid',
    '65534',
    '--hostname',
    'hearth',
    '--as-pid-1',
    ...readable.flatMap((path) => ['--ro-bind-try', path, path]),
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--tmpfs',
    '/tmp',
    '--ro-bind',
    options.denoPath,
    '/deno',
    '--ro-bind',
    options.runnerPath,
    '/runner.js',
    '--ro-bind',
    join(options.dir, 'code'),
    '/fn/code',
    '--bind',
    join(options.dir, 'run'),
    '/fn/run',
    '--chdir',
    '/tmp',
    '--info-fd',
    '3',
    '--',
  ];
}
