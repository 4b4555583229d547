/** One Deno process: spawned blank, claimed for one version of one function, watched until it is gone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { MODULE_FILE, moduleFiles, openCodeFiles, V8_FILE } from './code_files.js';
import { type ControlChannel, openControlChannel } from './control_channel.js';
import { type Ending, type EndReason, explainEnding, type KillReason } from './ending.js';
import type {
  FromRunner,
  FunctionSpan,
  LogLine,
  LogOrigin,
  Thrown,
  TraceOrigin,
  Tracing,
} from './messages.js';
import { readOutput } from './output.js';
import { makeFolders, openRunnerCacheFor, removeFolders, takeSockets } from './process_folders.js';
import { CONTROL_SOCKET, type LaunchOptions, launchCommand, type Sandbox, SOCKET_FILES } from './sandbox.js';
import { sourceHash } from './source_hash.js';

export type ProcessState = 'blank' | 'specialising' | 'live' | 'gone';

/** What a process becomes. */
export interface Specification {
  tenant: string;
  function: string;
  /** The prepared module. */
  code: Buffer;
  /** V8's code cache of it, if there is one. */
  v8: Buffer | null;
  env: Record<string, string>;
  permissions: { net: boolean; env: boolean; read: boolean; write: boolean };
  tracing: Tracing;
  /** ms until the module has to have loaded. */
  loadTimeoutMs: number;
}

/** How long the parts of becoming it took, in ms. */
export interface Specialised {
  envMs: number;
  importMs: number;
}

/** What a live process tells; set by whoever claims it. */
export interface ProcessEvents {
  /** `origin`: the span that they were written in, unchecked. */
  onLog(executionId: string | null, lines: LogLine[], origin?: LogOrigin): void;
  onSpan(executionId: string, of: TraceOrigin, span: FunctionSpan): void;
  /** Nothing more will come for this execution; µs of CPU, or -1 when they were told before. */
  onEnd(executionId: string, cpuUs: number): void;
  /** V8's code cache of the module, at most once; made in the process, so nobody else's should run by it. */
  onCodeCache(bytes: Buffer): void;
}

/** The module could not be loaded: what it threw. */
export class LoadFailure extends Error {
  override readonly name = 'LoadFailure';
  readonly thrown: Thrown;
  readonly timedOut: boolean;
  /** Why its process ended, if that is what happened. */
  readonly ending: EndReason | null;
  constructor(thrown: Thrown, how: { timedOut?: boolean; ending?: EndReason } = {}) {
    super(thrown.message);
    this.thrown = thrown;
    this.timedOut = how.timedOut ?? false;
    this.ending = how.ending ?? null;
  }
}

export interface ProcessSockets {
  /** HTTP/1.1. */
  http: string;
  /** Frames (frames.ts). */
  frames: string;
  /** The progress file that goes with the frames. */
  progress: string;
}

export interface DenoProcess {
  readonly id: number;
  /** Of Deno itself, not of the sandbox around it; null until it is known. */
  readonly pid: number | null;
  readonly state: ProcessState;
  /** Where it serves calls, as Unix sockets and a file of the host. */
  readonly sockets: ProcessSockets;
  /** Marks its answers' internal header. */
  readonly token: string;
  readonly memoryMb: number;
  /** Whether `waitUntil` keeps it working after its answers. */
  readonly held: boolean;
  readonly ended: Promise<Ending>;
  specialise(what: Specification, events: ProcessEvents): Promise<Specialised>;
  /** The databases of the runner (runner_cache.ts), of a blank process that is not to become anything else. */
  ownCache(): Promise<Buffer[]>;
  setEnv(values: Record<string, string>): void;
  /** Collects its garbage and gives back what memory it can: takes some ms of its CPU. */
  trim(): void;
  /** Resolves true when its event loop answers within `withinMs`. */
  ping(withinMs: number): Promise<boolean>;
  kill(reason: KillReason): void;
}

export interface SpawnOptions extends Omit<LaunchOptions, 'dir' | 'user' | 'runnerCache'> {
  id: number;
  runDir: string;
  sandbox: Sandbox;
  /** ms until it has to be ready. */
  readyTimeoutMs: number;
  /** The folder with the databases of the runner; null: it parses and compiles all itself. */
  runnerCache: string | null;
}

const STDERR_TAIL = 4096;

/** Spawns a blank process; resolves when it is ready to be claimed. */
export async function spawnDeno(options: SpawnOptions): Promise<DenoProcess> {
  const dir = join(options.runDir, `p${options.id}`);
  const { sandbox } = options;
  const user = sandbox.users?.take() ?? null;
  if (sandbox.users !== null && user === null) throw new Error('every user id for processes is taken');
  makeFolders(dir, sandbox, user);
  const token = randomBytes(9).toString('base64url');

  let state: ProcessState = 'blank';
  let held = false;
  let events: ProcessEvents | null = null;
  let killedFor: KillReason | null = null;
  let stderr = '';
  let pid: number | null = null;
  let pings = 0;
  let mayReadEnv = false;
  let giveCache: ((databases: Buffer[]) => void) | null = null;
  /** Characters of base64 that a code cache may have; 0: none is expected. */
  let maxCacheText = 0;
  let claimNext: { resolve(value: Specialised): void; reject(error: Error): void } | null = null;
  const pongs = new Map<number, () => void>();
  let ready: () => void = () => {};
  const isReady = new Promise<void>((resolve) => {
    ready = resolve;
  });

  const control: ControlChannel = await openControlChannel(join(dir, 'run', CONTROL_SOCKET), onMessage);
  if (user !== null) chownSync(join(dir, 'run', CONTROL_SOCKET), user, user);
  const codeFiles = openCodeFiles(join(dir, 'code'));
  const runnerCache = openRunnerCacheFor(options.runnerCache, dir, sandbox, user);
  const launch = launchCommand(sandbox, { ...options, dir, user, runnerCache: runnerCache.length > 0 });
  const filter = launch.filter === null ? 'ignore' : openSync(launch.filter, 'r');
  const child = spawn(launch.command, launch.args, {
    env: launch.env,
    cwd: dir,
    ...(launch.startAs === null ? {} : { uid: launch.startAs, gid: launch.startAs }),
    stdio: ['ignore', 'pipe', 'pipe', launch.tellsPid ? 'pipe' : 'ignore', filter, ...runnerCache],
    // Out of the terminal's process group: Ctrl-C is the supervisor's to handle.
    detached: true,
  });
  if (filter !== 'ignore') closeSync(filter);
  for (const file of runnerCache) closeSync(file);
  if (!launch.tellsPid) pid = child.pid ?? null;
  else
    readPid(child, (found) => {
      pid = found;
    });
  readOutput(child.stdout, STDERR_TAIL, (text) => {
    events?.onLog(null, [[Date.now(), 'log', text.trimEnd()]]);
  });
  readOutput(child.stderr, 64 * 1024, (text) => {
    stderr = (stderr + text).slice(-STDERR_TAIL);
  });

  const ended = new Promise<Ending>((resolve) => {
    let settled = false;
    const settle = (code: number | null, signal: NodeJS.Signals | null) => {
      if (settled) return;
      settled = true;
      state = 'gone';
      control.close();
      codeFiles.close();
      const ending = explainEnding(code, signal, stderr, killedFor);
      claimNext?.reject(
        new LoadFailure(
          { name: 'Ended', message: `the process ended: ${lastLine(ending)}`, stack: null },
          { ending: ending.reason },
        ),
      );
      for (const answer of pongs.values()) answer();
      removeFolders(dir, sandbox);
      if (user !== null) sandbox.users?.release(user);
      resolve(ending);
    };
    child.once('error', (error) => {
      stderr = error.message;
      settle(127, null);
    });
    // 'close' rather than 'exit': standard error, which tells why, has then been read to its end.
    child.once('close', settle);
  });

  function onMessage(message: FromRunner) {
    switch (message.t) {
      case 'ready':
        ready();
        control.send({ t: 'ping', n: 0 }); // so that it has read a message before its first call depends on one
        break;
      case 'claimed':
        state = 'live';
        claimNext?.resolve({ envMs: message.envMs, importMs: message.importMs });
        claimNext = null;
        break;
      case 'failed':
        claimNext?.reject(new LoadFailure(message.error));
        claimNext = null;
        break;
      case 'pong':
        pongs.get(message.n)?.();
        break;
      case 'log':
        events?.onLog(message.id, [message.line], message.in);
        break;
      case 'span':
        events?.onSpan(message.id, message.of, message.span);
        break;
      case 'end':
        events?.onEnd(message.id, message.cpuUs);
        break;
      case 'hold':
        held = message.on;
        break;
      case 'own-cache':
        giveCache?.(message.data.map((text) => Buffer.from(text, 'base64')));
        break;
      case 'v8':
        // Once, where it was asked for: it may be anything by now, and as long as a line.
        if (message.data.length <= maxCacheText) events?.onCodeCache(Buffer.from(message.data, 'base64'));
        maxCacheText = 0;
        break;
    }
  }

  function kill(reason: KillReason) {
    if (state === 'gone') return;
    killedFor ??= reason;
    // The sandbox dies with its first process, and everything in it with the sandbox.
    child.kill('SIGKILL');
  }

  const deno: DenoProcess = {
    id: options.id,
    token,
    memoryMb: options.memoryMb,
    sockets: {
      http: join(dir, SOCKET_FILES.http),
      frames: join(dir, SOCKET_FILES.frames),
      progress: join(dir, SOCKET_FILES.progress),
    },
    ended,
    get pid() {
      return pid;
    },
    get state() {
      return state;
    },
    get held() {
      return held;
    },
    async specialise(what, on) {
      if (state !== 'blank') throw new Error(`process ${options.id} is ${state}, not blank`);
      state = 'specialising';
      events = on;
      mayReadEnv = what.permissions.env;
      // From here on, the end of the process is the end of the claim.
      const loaded = new Promise<Specialised>((resolve, reject) => {
        claimNext = { resolve, reject };
      });
      loaded.catch(() => {}); // whoever awaits it below is told; if writing fails first, nobody does
      const harvest = what.v8 === null && what.code.length >= MIN_CACHED_BYTES;
      if (harvest)
        maxCacheText = Math.ceil(((what.code.length * MAX_CACHE_FACTOR + DENOS_OWN_CACHES) * 4) / 3);
      const files = moduleFiles(what.code);
      const written = codeFiles.write(files, what.v8);
      if (written !== null) await written;
      control.send({
        t: 'claim',
        claim: {
          token,
          function: what.function,
          tenant: what.tenant,
          entry: `file://${launch.inside.code}/${MODULE_FILE}`,
          env: what.env,
          permissions: what.permissions,
          tracing: what.tracing,
          v8: what.v8 === null ? null : `${launch.inside.code}/${V8_FILE}`,
          // V8's cache has it with it.
          sourceHash: what.v8 === null ? sourceHash(files.module) : null,
          harvest,
        },
      });
      const timer = setTimeout(() => {
        claimNext?.reject(
          new LoadFailure(
            { name: 'Timeout', message: 'the module did not finish loading in time', stack: null },
            { timedOut: true },
          ),
        );
        claimNext = null;
      }, what.loadTimeoutMs);
      try {
        return await loaded;
      } finally {
        clearTimeout(timer);
      }
    },
    async ownCache() {
      const given = new Promise<Buffer[]>((resolve) => {
        giveCache = resolve;
      });
      control.send({ t: 'own-cache' });
      const databases = await Promise.race([given, ended.then(() => null)]);
      if (databases === null) throw new Error("the process that was to give the runner's code cache ended");
      return databases;
    },
    setEnv(values) {
      // Without the permission nothing reads it, and the process itself may not write it.
      if (mayReadEnv) control.send({ t: 'env', set: values });
    },
    trim: () => control.send({ t: 'trim' }),
    ping(withinMs) {
      if (state === 'gone') return Promise.resolve(false);
      const n = ++pings;
      return new Promise((resolve) => {
        const timer = setTimeout(() => answer(false), withinMs);
        const answer = (alive: boolean) => {
          clearTimeout(timer);
          pongs.delete(n);
          resolve(alive);
        };
        pongs.set(n, () => answer(state !== 'gone'));
        control.send({ t: 'ping', n });
      });
    },
    kill,
  };

  const timer = setTimeout(() => kill('failed'), options.readyTimeoutMs);
  const early = await Promise.race([isReady.then(() => null), ended]);
  clearTimeout(timer);
  if (early !== null)
    throw new Error(
      `a Deno process did not start: ${early.stderr.trim() || `exit ${early.code ?? early.signal}`}`,
    );
  try {
    takeSockets(dir);
  } catch (error) {
    kill('failed');
    throw error;
  }
  return deno;
}

/** Bytes of code below which compiling is faster than handing a cache over. */
export const MIN_CACHED_BYTES = 48 * 1024;
/** Times the code that V8's cache of it may have; one and a half is usual. */
const MAX_CACHE_FACTOR = 6;
/** Bytes that those of Deno's own modules, which come with it, may have; all of them together have less. */
const DENOS_OWN_CACHES = 4 * 1024 * 1024;

/** bubblewrap writes a JSON object with the pid of the process that it started. */
function readPid(child: ChildProcess, found: (pid: number) => void) {
  const pipe = child.stdio[3] as Readable | null | undefined;
  let text = '';
  pipe?.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString('utf8')).slice(-4096);
    const match = /"child-pid":\s*(\d+)/.exec(text);
    if (match?.[1] !== undefined) found(Number(match[1]));
  });
}

function lastLine(ending: Ending): string {
  const lines = ending.stderr.trim().split('\n');
  // Where it was cut, the first line is the rest of one.
  if (ending.stderr.length >= STDERR_TAIL) lines.shift();
  return lines.at(-1) || `exit ${ending.code ?? ending.signal}`;
}
