/**
 * Which processes use CPU time that no call may have: a pure decision over samples of what each has used.
 *
 * - `cpu`: since its oldest running call began, the process has used more for each running call than one may use.
 * - `background`: it works although nothing runs on it and `waitUntil` holds nothing.
 */

export interface CpuSample {
  process: number;
  /** Unix ms. */
  at: number;
  /** ms of CPU since the process started. */
  cpuMs: number;
  /** Calls that run on it. */
  running: number;
  /** When the oldest of them began, in Unix ms; null when none runs. */
  oldest: number | null;
  /** Whether `waitUntil` holds it. */
  held: boolean;
  /** Unix ms of its last known call. */
  lastUsed: number;
  /** ms of CPU that one call may use. */
  limitMs: number;
}

export interface CpuLimits {
  /** Why the process is to end, or null. */
  judge(sample: CpuSample): 'cpu' | 'background' | null;
  forget(process: number): void;
}

interface Known {
  at: number;
  cpuMs: number;
  oldest: number | null;
  /** CPU when the oldest call was first seen. */
  cpuAtOldest: number;
  /** ms of CPU used while it was idle beyond what an idle process may: a leaky bucket. */
  idleMs: number;
}

/** ms after the last call in which the process may tidy up: routers report use every second. */
const SETTLE_MS = 2_000;
/**
 * Share of one core that an idle process may use: timers and garbage collection take less. Small, because on a machine
 * that is overrun a loop without an end gets little more.
 */
const IDLE_SHARE = 0.1;
/** ms of CPU above that share that end it. */
const IDLE_LIMIT_MS = 500;

export function createCpuLimits(): CpuLimits {
  const processes = new Map<number, Known>();
  return {
    judge(sample) {
      const before = processes.get(sample.process);
      const { at, cpuMs, oldest } = sample;
      if (before === undefined) {
        processes.set(sample.process, { at, cpuMs, oldest, cpuAtOldest: cpuMs, idleMs: 0 });
        return null;
      }
      const used = cpuMs - before.cpuMs;
      const elapsed = at - before.at;
      // The sample before is the last one that has nothing of the call's in it.
      if (oldest !== before.oldest) before.cpuAtOldest = before.cpuMs;
      const idle = oldest === null && !sample.held && at - sample.lastUsed > SETTLE_MS;
      before.idleMs = idle ? Math.max(0, before.idleMs + used - elapsed * IDLE_SHARE) : 0;
      before.at = at;
      before.cpuMs = cpuMs;
      before.oldest = oldest;
      if (before.idleMs > IDLE_LIMIT_MS) return 'background';
      if (oldest === null) return null;
      return (cpuMs - before.cpuAtOldest) / Math.max(1, sample.running) > sample.limitMs ? 'cpu' : null;
    },
    forget: (process) => void processes.delete(process),
  };
}
