/** Watches the processes: memory and CPU by one sweep over all, and event loops by asking those that work. */
import type { DenoProcess } from '../pool/process.js';
import { createUsageReader, type Usage } from './process_stat.js';

export interface Sample extends Usage {
  process: DenoProcess;
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
  const usage = createUsageReader();
  let sampling = false;
  let stopped = false;

  async function sample() {
    if (sampling) return;
    sampling = true;
    try {
      const processes = new Map<number, DenoProcess>();
      for (const process of options.live()) if (process.pid !== null) processes.set(process.pid, process);
      for (const [pid, found] of await usage.read([...processes.keys()])) {
        const process = processes.get(pid);
        if (process !== undefined && !stopped) options.onSample({ process, ...found });
      }
    } catch (error) {
      options.onError(error);
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
        return (await usage.read([pid])).get(pid)?.cpuMs ?? null;
      } catch (error) {
        options.onError(error);
        return null;
      }
    },
    stop() {
      stopped = true;
      for (const timer of timers) clearInterval(timer);
      usage.stop();
    },
  };
}
