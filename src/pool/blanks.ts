/** Blank processes kept ready by memory class and network: generic-pool lends one, and fills itself up again behind it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createPool as createGenericPool, type Pool as GenericPool } from 'generic-pool';
import type { DenoProcess } from './process.js';

/** MiB of heap at which processes are spawned: the flag cannot be changed later. */
export const MEMORY_CLASSES = [64, 128, 256, 512, 1024] as const;

/** The smallest class that holds a limit of `memoryMb` (32–1024 MiB). */
export function memoryClass(memoryMb: number): number {
  return MEMORY_CLASSES.find((size) => size >= memoryMb) ?? 1024;
}

export interface BlankKind {
  memoryMb: number;
  net: boolean;
}

export interface Blanks {
  /** A ready blank process of this kind, spawned now if none waits. Rejects after `acquireTimeoutMs`. */
  take(kind: BlankKind): Promise<DenoProcess>;
  /** Fills up behind a process that was taken; called once its claim is over, so as not to compete with it. */
  refill(kind: BlankKind, taken: DenoProcess): void;
  counts(): { kind: BlankKind; ready: number; starting: number }[];
  stop(): Promise<void>;
}

export interface BlanksOptions {
  /** Ready processes of the default kind; another kind keeps one once it has been asked for. */
  size: number;
  defaultKind: BlankKind;
  acquireTimeoutMs: number;
  spawn(kind: BlankKind): Promise<DenoProcess>;
  /** A process became ready, or went without having been taken. */
  onReady(process: DenoProcess): void;
  onError(error: unknown): void;
}

interface KindPool {
  kind: BlankKind;
  pool: GenericPool<DenoProcess>;
  /** Taken, and still counted by generic-pool. */
  taken: Set<DenoProcess>;
  /** Spawns that failed since one succeeded. */
  failures: number;
}

/** ms after which a process is replaced, while others are ready. */
const REFILL_MS = 10;

/** ms before the next spawn after `failures` that failed. */
function backOff(failures: number): number {
  return Math.min(100 * 2 ** (failures - 1), 5_000);
}

export function createBlanks(options: BlanksOptions): Blanks {
  const pools = new Map<string, KindPool>();
  poolOf(options.defaultKind);

  function poolOf(kind: BlankKind): KindPool {
    const key = `${kind.memoryMb} ${kind.net}`;
    const known = pools.get(key);
    if (known !== undefined) return known;
    const isDefault = kind.memoryMb === options.defaultKind.memoryMb && kind.net === options.defaultKind.net;
    const made: Omit<KindPool, 'pool'> = { kind, taken: new Set(), failures: 0 };
    const pool = createGenericPool<DenoProcess>(
      {
        async create() {
          // generic-pool tries again at once, and for ever.
          if (made.failures > 0) await sleep(backOff(made.failures), undefined, { ref: false });
          try {
            const process = await options.spawn(kind);
            made.failures = 0;
            options.onReady(process);
            return process;
          } catch (error) {
            made.failures++;
            throw error;
          }
        },
        // A process that was taken belongs to its function now; it ends when that says so.
        async destroy(process) {
          if (process.state !== 'blank') return;
          process.kill('idle');
          await process.ended;
        },
        validate: async (process) => process.state === 'blank',
      },
      {
        min: isDefault ? options.size : Math.min(1, options.size),
        max: 10_000,
        acquireTimeoutMillis: options.acquireTimeoutMs,
        // Blank processes that died while they waited are found and replaced.
        evictionRunIntervalMillis: 2_000,
        numTestsPerEvictionRun: 4,
        softIdleTimeoutMillis: -1,
        idleTimeoutMillis: Number.MAX_SAFE_INTEGER,
        fifo: true,
      },
    );
    pool.on('factoryCreateError', options.onError);
    pool.on('factoryDestroyError', options.onError);
    const whole = Object.assign(made, { pool });
    pools.set(key, whole);
    return whole;
  }

  function replace({ pool, taken }: KindPool, process: DenoProcess) {
    // To generic-pool, a process that was taken is one to be destroyed: it makes another in its place. Those of claims
    // that still run are left alone: they may be blank yet.
    if (taken.delete(process)) void pool.destroy(process).catch(options.onError);
  }

  return {
    async take(kind) {
      const entry = poolOf(kind);
      for (;;) {
        const process = await entry.pool.acquire();
        // Asked here rather than by generic-pool, whose way to the answer takes a good part of the claim.
        if (process.state === 'blank') {
          entry.taken.add(process);
          return process;
        }
        await entry.pool.destroy(process);
      }
    },
    refill(kind, process) {
      const entry = poolOf(kind);
      // A start takes a whole core, and the call that the process was taken for is on its way yet.
      if (entry.pool.available > 0 && entry.pool.pending === 0)
        setTimeout(replace, REFILL_MS, entry, process);
      else replace(entry, process);
    },
    counts: () =>
      [...pools.values()].map(({ kind, pool }) => ({ kind, ready: pool.available, starting: pool.pending })),
    async stop() {
      for (const { pool, taken } of pools.values()) {
        for (const process of taken) void pool.destroy(process).catch(options.onError);
        taken.clear();
        await pool.drain();
        await pool.clear();
      }
    },
  };
}
