/** Watches the processes: memory and CPU by one sweep over all, and event loops by asking those that work. */
import pidusage from 'pidusage';
import type { DenoProcess } from '../pool/process.js';

export interface Sample {
  process: DenoProcess;
  /** Bytes of resident memory. */
  memory: number;
  /** ms of CPU since the process started. */
  cpuMs: number;
}

export interface WatchOptions {
  /** Processes whose memory is watched: every live one. */
  live(): Iterable<DenoProcess>;
  /** Processes with calls on them: their event loops are asked. */
  busy(): Iterable<DenoProcess>;
  onSample(sample: Sample): void;
  onStuck(process: DenoProcess, stuck: boolean): void;
  onError(error: unknown): void;
}

export interface Watch {
  /** ms of CPU since it started; null when it is gone. */
  cpuOf(process: DenoProcess): Promise<number | null>;
  stop(): void;
}

const SAMPLE_MS = 1_000;
const PING_MS = 250;
/** An event loop that has not answered for this long is stuck. */
const STUCK_MS = 500;

export function startWatch(options: WatchOptions): Watch {
  const asked = new Map<number, DenoProcess>();
  let sampling = false;
  let stopped = false;

  async function sample() {
    if (sampling) return;
    sampling = true;
    try {
      const processes = new Map<number, DenoProcess>();
      for (const process of options.live()) if (process.pid !== null) processes.set(process.pid, process);
      // Some may end between being listed and being read: those are left out by pidusage's own rule.
      const usages = processes.size === 0 ? {} : await pidusage([...processes.keys()]);
      for (const [pid, usage] of Object.entries(usages)) {
        const process = processes.get(Number(pid));
        if (process === undefined || !usage || stopped) continue;
        options.onSample({ process, memory: usage.memory, cpuMs: usage.ctime });
      }
    } catch (error) {
      if (!isGone(error)) options.onError(error);
    } finally {
      sampling = false;
    }
  }

  function ask() {
    for (const process of options.busy()) {
      if (asked.has(process.id)) continue;
      asked.set(process.id, process);
      void check(process);
    }
  }

  async function check(process: DenoProcess) {
    let stuck = false;
    // Asked again and again while it is stuck, so that it is known when it answers.
    while (process.state !== 'gone' && !stopped) {
      const answered = await process.ping(STUCK_MS);
      if (answered === stuck && process.state === 'live') options.onStuck(process, !answered);
      stuck = !answered;
      if (answered) break;
    }
    asked.delete(process.id);
  }

  const timers = [setInterval(() => void sample(), SAMPLE_MS), setInterval(ask, PING_MS)];
  return {
    async cpuOf({ pid }) {
      if (pid === null) return null;
      try {
        return (await pidusage(pid)).ctime;
      } catch (error) {
        if (!isGone(error)) options.onError(error);
        return null;
      }
    },
    stop() {
      stopped = true;
      for (const timer of timers) clearInterval(timer);
      pidusage.clear();
    },
  };
}

/** pidusage rejects when a pid of its list does not exist any more. */
function isGone(error: unknown): boolean {
  return error instanceof Error && /No matching pid|ENOENT|ESRCH/.test(error.message);
}
