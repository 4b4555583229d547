/** Holds processes to their limits: each is judged by samples of its memory and CPU, and by whether it answers. */
import type { DenoProcess } from '../pool/process.js';
import type { FunctionMeta } from '../store/types.js';
import type { NodeQuotas } from './budgets_node.js';
import { createCpuLimits } from './cpu_limits.js';
import type { Fleet, Instance } from './fleet.js';
import { type Sample, startWatch } from './watch.js';

export interface ProcessLimitsOptions {
  /** Those that are a function's, by their ids. */
  processes: ReadonlyMap<number, DenoProcess>;
  fleet: Pick<
    Fleet,
    'instances' | 'instanceOf' | 'has' | 'measured' | 'retireProcess' | 'overdue' | 'setStuck'
  >;
  quotas: Pick<NodeQuotas, 'sampled' | 'processEnded'>;
  /** ms of CPU that one call may use; null: as long as its function's time limit. */
  callCpuMs: number | null;
  /** Bytes of resident memory, and ms of CPU since the process started. Not of functions that are gone. */
  onSample(fn: FunctionMeta, process: number, memory: number, cpuMs: number): void;
  /** Unix ms. */
  now(): number;
  onError(error: unknown): void;
}

export interface ProcessLimits {
  /** What it has used until now is not the function's. */
  claimed(process: DenoProcess, fn: FunctionMeta): void;
  ended(process: number): void;
  stop(): void;
}

/** ms after its last known call for which a process counts as busy: routers report use every second. */
const BUSY_MS = 1_500;
/** MiB that a Deno process has besides what its function holds. */
const RUNTIME_MB = 64;
/** Over so many times its soft limit a process is ended at once. */
const HARD_FACTOR = 2;

export function startProcessLimits(options: ProcessLimitsOptions): ProcessLimits {
  const { processes, fleet, quotas, now } = options;
  const cpuLimits = createCpuLimits();

  const watch = startWatch({
    live: () => processes.values(),
    *busy() {
      for (const instance of fleet.instances()) {
        const process = processes.get(instance.address?.process ?? 0);
        // An idle process is left asleep: waking many of them several times a second would cost the busy ones.
        const busy = instance.running.size > 0 || now() - instance.lastUsed < BUSY_MS;
        if (process !== undefined && instance.leased > 0 && busy) yield process;
      }
    },
    onSample(sample) {
      const { process, memory, cpuMs } = sample;
      const instance = fleet.instanceOf(process.id);
      if (instance === undefined) return;
      const { fn } = instance;
      // A function that is gone has no series any more.
      if (fleet.has(fn.id)) options.onSample(fn, process.id, memory, cpuMs);
      fleet.measured(process.id, memory / 1024 / 1024);
      quotas.sampled(process.id, fn.tenant, cpuMs);
      limitMemory(sample, fn);
      limitCpu(sample, instance);
    },
    onStuck: (process, stuck) => fleet.setStuck(process.id, stuck),
    onError: options.onError,
  });

  /** Over the soft limit a process takes no new calls, and another takes its place. */
  function limitMemory({ process, memory }: Sample, fn: FunctionMeta) {
    const softLimit = (fn.memory_limit_mb + RUNTIME_MB) * 1024 * 1024;
    if (memory > HARD_FACTOR * softLimit) process.kill('memory');
    else if (memory > softLimit) fleet.retireProcess(process.id, 'memory');
  }

  function limitCpu({ process, cpuMs }: Sample, instance: Instance) {
    const { running, oldest } = callsOn(instance);
    const at = now();
    const limitMs = instance.fn.timeout_seconds * 1000;
    // `waitUntil` gets as long as a call would.
    const held = process.held && at - instance.lastUsed < limitMs + BUSY_MS;
    if (process.held && !held && running === 0) fleet.retireProcess(process.id, 'background');
    const verdict = cpuLimits.judge({
      process: process.id,
      at,
      cpuMs,
      running,
      oldest,
      held,
      lastUsed: instance.lastUsed,
      limitMs: options.callCpuMs ?? limitMs,
    });
    if (verdict === 'background') process.kill('background');
    else if (verdict === 'cpu') fleet.overdue(process.id, 'cpu');
  }

  return {
    claimed(process, fn) {
      void watch.cpuOf(process).then((cpuMs) => {
        if (cpuMs !== null && processes.has(process.id)) quotas.sampled(process.id, fn.tenant, cpuMs);
      });
    },
    ended(process) {
      cpuLimits.forget(process);
      quotas.processEnded(process);
    },
    stop: watch.stop,
  };
}

/** How many run there over all routers, and when the oldest began (Unix ms; null: none runs). */
function callsOn(instance: Instance): { running: number; oldest: number | null } {
  let running = 0;
  let oldest: number | null = null;
  for (const calls of instance.running.values()) {
    running += calls.calls;
    if (calls.oldest !== null) oldest = Math.min(calls.oldest, oldest ?? calls.oldest);
  }
  return { running, oldest };
}
