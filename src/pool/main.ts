/** The pool: blank Deno processes kept ready, and claimed for one function version each. */
import { cpus } from 'node:os';
import { type BlankKind, createBlanks, memoryClass } from './blanks.js';
import {
  type DenoProcess,
  type ProcessEvents,
  type Specialised,
  type Specification,
  spawnDeno,
} from './process.js';
import { hasRoom } from './run_dir.js';
import { openRunnerCache } from './runner_cache.js';
import type { Sandbox } from './sandbox.js';

export interface PoolOptions {
  runDir: string;
  /** In memory (run_dir.ts), for processes behind bubblewrap while it has room; null: there is none. */
  memoryDir: string | null;
  sandbox: Sandbox;
  /** Of its own, for what it keeps from one run to the next. */
  cacheDir: string;
  /** Blank processes kept ready. */
  size: number;
  /** A blank process is ready: routers may open their connections. */
  onBlank(process: DenoProcess): void;
  /** Any process has ended, claimed or not. */
  onEnded(process: DenoProcess): void;
  onSpawned(kind: BlankKind, tookMs: number): void;
  onError(error: unknown): void;
}

export interface ClaimRequest extends Omit<Specification, 'code' | 'v8' | 'env'> {
  memoryMb: number;
  /** The prepared module and V8's code cache of it. */
  code: Promise<Pick<Specification, 'code' | 'v8'>>;
  env: Promise<Record<string, string>>;
}

export interface Claimed {
  process: DenoProcess;
  /** ms until there was a process, until there was its code as well, and what the process itself tells. */
  took: Specialised & { processMs: number; codeMs: number };
}

export interface Pool {
  /**
   * Makes a blank process one version of a function. Rejects with `LoadFailure` when its module cannot be loaded
   * (the process is then gone), and with another error when no process could be had.
   *
   * @param onTaken called with the process when it is about to be told what it becomes: calls that are sent to it from
   * then on wait in it for the module.
   */
  claim(
    request: ClaimRequest,
    events: ProcessEvents,
    onTaken: (process: DenoProcess) => void,
  ): Promise<Claimed>;
  /** Every process that lives, blank ones too. */
  processes(): Iterable<DenoProcess>;
  counts(): { kind: BlankKind; ready: number; starting: number }[];
  stop(): Promise<void>;
}

/** The class that is kept ready from the start: the default memory limit, with network. */
const DEFAULT_KIND: BlankKind = { memoryMb: memoryClass(128), net: true };
const READY_TIMEOUT_MS = 15_000;
const ACQUIRE_TIMEOUT_MS = 20_000;

export async function createPool(options: PoolOptions): Promise<Pool> {
  const { sandbox } = options;
  const alive = new Map<number, DenoProcess>();
  const spawning = createGate(Math.max(2, cpus().length));
  let lastId = 0;
  let donor: DenoProcess | null = null;
  let stopping = false;

  const runnerCache = await openRunnerCache({
    dir: options.cacheDir,
    denoPath: sandbox.denoPath,
    runnerPath: sandbox.runnerPath,
    sandboxKind: sandbox.kind,
    async make() {
      donor = await spawning.run(() => spawnOne(DEFAULT_KIND, null));
      try {
        if (stopping) throw new Error('the pool is stopping');
        return await donor.ownCache();
      } finally {
        donor.kill('shutdown');
      }
    },
    onError(error) {
      if (!stopping) options.onError(error); // the next start makes it
    },
  });

  const blanks = createBlanks({
    size: options.size,
    defaultKind: DEFAULT_KIND,
    acquireTimeoutMs: ACQUIRE_TIMEOUT_MS,
    spawn: (kind) => spawning.run(() => spawn(kind)),
    onReady: options.onBlank,
    onError: options.onError,
  });

  function spawnOne(kind: BlankKind, cache: string | null): Promise<DenoProcess> {
    const id = ++lastId;
    const runDir = folderForProcesses(options);
    return spawnDeno({ id, runDir, sandbox, readyTimeoutMs: READY_TIMEOUT_MS, runnerCache: cache, ...kind });
  }

  async function spawn(kind: BlankKind): Promise<DenoProcess> {
    const start = performance.now();
    const process = await spawnOne(kind, runnerCache.folder());
    alive.set(process.id, process);
    void process.ended.then(() => {
      alive.delete(process.id);
      options.onEnded(process);
    });
    options.onSpawned(kind, performance.now() - start);
    return process;
  }

  return {
    async claim(request, events, onTaken) {
      const kind = { memoryMb: memoryClass(request.memoryMb), net: request.permissions.net };
      const parts = Promise.all([request.code, request.env]);
      parts.catch(() => {}); // reported where it is awaited, which may be later
      const start = performance.now();
      const process = await blanks.take(kind);
      const taken = performance.now();
      try {
        const [module, env] = await parts;
        const codeMs = performance.now() - taken;
        const specialised = process.specialise({ ...request, ...module, env }, events);
        onTaken(process);
        const took = await specialised;
        return { process, took: { ...took, processMs: taken - start, codeMs } };
      } catch (error) {
        process.kill('failed');
        throw error;
      } finally {
        blanks.refill(kind, process);
      }
    },
    processes: () => alive.values(),
    counts: () => blanks.counts(),
    async stop() {
      stopping = true;
      donor?.kill('shutdown');
      for (const process of alive.values()) process.kill('shutdown');
      await blanks.stop(); // waits for those that are still being spawned, and ends them
      for (const process of alive.values()) process.kill('shutdown');
      await Promise.all([...alive.values()].map((process) => process.ended));
    },
  };
}

/** Deno lets nobody have a file below /dev, whatever it is permitted: without bubblewrap it is the disk. */
function folderForProcesses({ sandbox, memoryDir, runDir }: PoolOptions): string {
  return sandbox.kind === 'bwrap' && memoryDir !== null && hasRoom(memoryDir) ? memoryDir : runDir;
}

/** Lets a given number of tasks run at once; spawning more than the cores can start only slows each. */
function createGate(width: number) {
  let running = 0;
  const waiting: (() => void)[] = [];
  return {
    async run<T>(task: () => Promise<T>): Promise<T> {
      if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve));
      running++;
      try {
        return await task();
      } finally {
        running--;
        waiting.shift()?.();
      }
    },
  };
}
