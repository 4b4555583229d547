/** Measures the Node process that it runs in: event loop and memory. */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { Instruments } from './instruments.js';

const NANOSECONDS = 1e9;

export interface ProcessWatch {
  /** Puts the values since the last call into the gauges: call it before each drain of the recorder. */
  sample(): void;
  stop(): void;
}

type Watched = Pick<
  Instruments,
  | 'eventLoopDelayP50'
  | 'eventLoopDelayP99'
  | 'eventLoopDelayMax'
  | 'eventLoopUtilization'
  | 'processMemory'
  | 'processUptime'
>;

/**
 * Starts measuring. Delays are those of `perf_hooks.monitorEventLoopDelay`, as the Node.js conventions say, and so
 * contain its timer's 10 ms: an idle process shows about 0.010 s.
 */
export function watchProcess(instruments: Watched): ProcessWatch {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  const p50 = instruments.eventLoopDelayP50.with({});
  const p99 = instruments.eventLoopDelayP99.with({});
  const max = instruments.eventLoopDelayMax.with({});
  const utilization = instruments.eventLoopUtilization.with({});
  const memory = instruments.processMemory.with({});
  const uptime = instruments.processUptime.with({});
  let last = performance.eventLoopUtilization();
  delay.enable();
  return {
    sample() {
      if (delay.count > 0) {
        p50.set(delay.percentile(50) / NANOSECONDS);
        p99.set(delay.percentile(99) / NANOSECONDS);
        max.set(delay.max / NANOSECONDS);
        delay.reset();
      }
      const now = performance.eventLoopUtilization();
      utilization.set(performance.eventLoopUtilization(now, last).utilization);
      last = now;
      memory.set(process.memoryUsage.rss());
      uptime.set(process.uptime());
    },
    stop() {
      delay.disable();
    },
  };
}
