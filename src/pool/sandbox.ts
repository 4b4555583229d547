/** The walls around a Deno process, as a command line. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { RUNNER_CACHE_FILES } from './deno_dir.js';
import { INSIDE } from './sandbox_root.js';
import type { UserIds } from './user_ids.js';

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
  /** As the processes' users can run and read them. */
  denoPath: string;
  runnerPath: string;
  /** What they see as `/`; null for `permissions`. */
  root: string | null;
  /** Files with seccomp programs, for processes with and without a network; null where there are none. */
  filters: { net: string; none: string } | null;
  /** Addresses that no function reaches: values of `--deny-net`. */
  denyNet: readonly string[];
  /** Each process has a user id of its own; null: the node's. */
  users: UserIds | null;
}

export interface LaunchOptions {
  /** The process's own folder on the host, with `code/` (read-only inside) and `run/` below it. */
  dir: string;
  /** MiB of V8 heap; the hard cap on all memory follows from it. */
  memoryMb: number;
  /** False: no network at all. */
  net: boolean;
  /** The user and group that it runs as; null: the node's. */
  user: number | null;
  /** Whether file descriptors from 5 on have the runner's databases, in the order of `RUNNER_CACHE_FILES`. */
  runnerCache: boolean;
}

export interface Launch {
  command: string;
  args: string[];
  env: Record<string, string>;
  /** The paths as the process sees them. */
  inside: { code: string; run: string };
  /** Whether the process's own pid is written as JSON to file descriptor 3. */
  tellsPid: boolean;
  /** A file to be open for reading as file descriptor 4. */
  filter: string | null;
  /** The user and group to start it as, with no other group; null: as whoever starts it. */
  startAs: number | null;
}

/**
 * MiB of data segment that V8 reserves before the first allocation (its code range counts), measured on Deno 2.9:
 * RLIMIT_DATA has to leave room for it.
 */
const V8_RESERVED_MB = 560;
/** MiB that a Deno process needs beside the function's own heap. */
const RUNTIME_MB = 64;
/** MiB of files in a process's scratch folder, and in its DENO_DIR, which has V8's code cache. They are memory. */
export const SCRATCH_MB = 64;
const DENO_DIR_MB = 64;
const OPEN_FILES = 1024;
/** Those before it: standard streams, bubblewrap's pipe for the pid, the filter. */
const FIRST_CACHE_FD = 5;
/** What a process makes in its `run/`, and what waits for it there. */
export const SOCKET_FILES = { http: 's.sock', frames: 'f.sock', progress: 'progress' };
export const CONTROL_SOCKET = 'c.sock';
/** Threads, workers' among them; a process cannot start others. Deno has some for each core, and up to 32 for files. */
const THREADS = 128 + 8 * availableParallelism();

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

/** The whole command line of one blank process. */
export function launchCommand(sandbox: Sandbox, options: LaunchOptions): Launch {
  const { bwrap } = sandbox.tools;
  const walled = sandbox.kind === 'bwrap' && bwrap !== null && sandbox.root !== null;
  const outside = (name: string) => join(options.dir, name);
  const places = walled
    ? INSIDE
    : {
        deno: sandbox.denoPath,
        runner: sandbox.runnerPath,
        prlimit: sandbox.tools.prlimit ?? '',
        code: outside('code'),
        run: outside('run'),
        denoDir: outside('deno'),
        scratch: outside('tmp'),
      };
  const filter = walled ? (sandbox.filters?.[options.net ? 'net' : 'none'] ?? null) : null;

  const at = (name: string) => join(places.run, name);
  const sockets = [at(SOCKET_FILES.http), at(SOCKET_FILES.frames), at(CONTROL_SOCKET)];
  const command: string[] = walled ? [] : fromOutside(sandbox, options.user);
  if (walled) command.push(bwrap, ...walls(sandbox, options, sandbox.root ?? '', filter !== null), '--');
  if (sandbox.tools.prlimit !== null) {
    // Within the namespaces: the kernel counts the threads of each user namespace on their own.
    command.push(places.prlimit, ...limits(options.memoryMb, walled || options.user !== null), '--');
  }
  command.push(
    places.deno,
    'run',
    '--no-prompt',
    '--no-config',
    '--no-lock',
    '--no-npm',
    '--no-remote',
    '--unstable-no-legacy-abort',
    `--v8-flags=--max-old-space-size=${options.memoryMb}`,
    `--allow-read=${[places.run, places.code, places.denoDir, places.scratch].join()}`,
    `--allow-write=${[places.run, places.denoDir, places.scratch].join()}`,
    '--allow-env',
    options.net ? '--allow-net' : `--allow-net=${sockets.map((path) => `unix:${path}`).join()}`,
    ...(options.net && sandbox.denyNet.length > 0 ? [`--deny-net=${sandbox.denyNet.join()}`] : []),
    places.runner,
  );
  // Not as arguments: a function could read those, and hiding them from `process.argv` costs 2 MiB in each process.
  const runnerPaths = [
    at(SOCKET_FILES.http),
    at(SOCKET_FILES.frames),
    at(SOCKET_FILES.progress),
    at(CONTROL_SOCKET),
    places.denoDir,
    places.scratch,
  ];
  return {
    command: command[0] ?? places.deno,
    args: command.slice(1),
    env: {
      DENO_DIR: places.denoDir,
      NO_COLOR: '1',
      DENO_NO_UPDATE_CHECK: '1',
      // The runner sends itself SIGUSR2 when it is told to trim its memory.
      DENO_USR2_MEMORY_TRIM: '1',
      // One heap for all threads of glibc's malloc: hardly any of them but the first one needs memory of its own.
      MALLOC_ARENA_MAX: '1',
      PATH: '/usr/bin:/bin',
      RUNNER_PATHS: runnerPaths.join('\n'),
    },
    inside: { code: places.code, run: places.run },
    tellsPid: walled,
    filter,
    // bubblewrap gives up what is left of a user's rights: of root's, those that are inherited.
    startAs: walled ? options.user : null,
  };
}

/** Another user for a process without bubblewrap, and its end with the node's. */
function fromOutside(sandbox: Sandbox, user: number | null): string[] {
  const { setpriv } = sandbox.tools;
  if (setpriv === null) return [];
  const args = ['--pdeathsig', 'KILL', '--no-new-privs'];
  if (user !== null)
    args.push(
      ...['--reuid', `${user}`, '--regid', `${user}`, '--clear-groups'],
      ...['--inh-caps=-all', '--bounding-set=-all'],
    );
  return [setpriv, ...args, '--'];
}

/** `alone`: nothing else counts against the number of its threads. */
function limits(memoryMb: number, alone: boolean): string[] {
  const bytes = (mib: number) => mib * 1024 * 1024;
  return [
    `--data=${bytes(V8_RESERVED_MB + RUNTIME_MB + memoryMb)}`,
    '--core=0',
    `--nofile=${OPEN_FILES}`,
    // Above what its folders hold: a full folder is an error that a function sees, this limit ends the process.
    `--fsize=${bytes(2 * SCRATCH_MB)}`,
    ...(alone ? [`--nproc=${THREADS}`] : []),
  ];
}

/** bubblewrap's arguments: a root with what a function needs bound in read-only, and namespaces of its own. */
function walls(sandbox: Sandbox, options: LaunchOptions, root: string, filtered: boolean): string[] {
  const tmpfs = (path: string, mib: number) => ['--size', `${mib * 1024 * 1024}`, '--tmpfs', path];
  const resolver = ['/etc/resolv.conf', '/etc/hosts'];
  return [
    '--die-with-parent',
    '--new-session',
    '--unshare-user',
    '--disable-userns',
    '--unshare-pid',
    '--unshare-ipc',
    '--unshare-uts',
    '--unshare-cgroup-try',
    ...(options.net ? [] : ['--unshare-net']),
    '--cap-drop',
    'ALL',
    '--uid',
    '65534',
    '--gid',
    '65534',
    '--hostname',
    'hearth',
    '--as-pid-1',
    '--ro-bind',
    root,
    '/',
    '--ro-bind',
    sandbox.denoPath,
    INSIDE.deno,
    ...(options.net ? resolver.flatMap((path) => ['--ro-bind-try', path, path]) : []),
    ...tmpfs(INSIDE.scratch, SCRATCH_MB),
    ...tmpfs(INSIDE.denoDir, DENO_DIR_MB),
    // Copies of its own: what a process writes there is nobody else's.
    ...(options.runnerCache ? RUNNER_CACHE_FILES : []).flatMap((name, index) => [
      ...['--perms', '0600', '--file', `${FIRST_CACHE_FD + index}`, `${INSIDE.denoDir}/${name}`],
    ]),
    '--ro-bind',
    join(options.dir, 'code'),
    INSIDE.code,
    '--bind',
    join(options.dir, 'run'),
    INSIDE.run,
    '--chdir',
    INSIDE.scratch,
    '--info-fd',
    '3',
    ...(filtered ? ['--seccomp', '4'] : []),
  ];
}
