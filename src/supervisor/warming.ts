/**
 * Runs a module once after its deploy, for V8's code cache of it, so that the first call need not compile it. The process
 * is the function's in every way, walls and secrets included; it serves nobody and is gone at once.
 */
import type { FunctionMeta } from '../store/types.js';

export interface WarmingOptions {
  /** Whether there is room for a process that no call needs. */
  mayRun(fn: FunctionMeta): boolean;
  /** Runs it where that is worth it; resolves when its process is gone. */
  run(fn: FunctionMeta): Promise<void>;
  onError(error: unknown): void;
}

export interface Warming {
  /** New code is served from now on. */
  deployed(fn: FunctionMeta): void;
  stop(): Promise<void>;
}

/** Functions that may wait; beyond, the one that has waited longest is left to its first call. */
const MAX_WAITING = 100;

/** One at a time: calls come first. */
export function createWarming(options: WarmingOptions): Warming {
  const waiting = new Map<string, FunctionMeta>();
  let running: Promise<void> | null = null;
  let stopped = false;

  function start() {
    const [next] = waiting.values();
    if (running !== null || next === undefined || stopped) return;
    waiting.delete(next.id);
    const done = options.mayRun(next) ? options.run(next).catch(options.onError) : Promise.resolve();
    running = done.then(() => {
      running = null;
      start();
    });
  }

  return {
    deployed(fn) {
      if (stopped || !fn.enabled) return;
      waiting.delete(fn.id);
      waiting.set(fn.id, fn);
      if (waiting.size > MAX_WAITING) {
        const [oldest = ''] = waiting.keys();
        waiting.delete(oldest);
      }
      start();
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}
