/** The executions that this process is serving: which one a line of log or a promise belongs to, and its CPU time. */
import { after, createFollowing } from './deno_core.ts';
import { round } from './intrinsics.ts';

export interface Execution {
  readonly id: string;
  /** Bytes of log so far. */
  logBytes: number;
  logLines: number;
  logged: boolean;
  /** Promises that `waitUntil` holds. */
  waiting: number;
  answered: boolean;
  /** The reading of the shared CPU clock when it began, less what it pays for calls before it. */
  readonly cpuAtStart: number;
  /** Of the headers that the router adds for the runner alone. */
  readonly internal: (name: string) => string | null;
}

export interface Executions {
  current(): Execution | undefined;
  /** How many calls came at once, those that follow now. */
  arrive(calls: number): void;
  begin(id: string, internal: Execution['internal']): Execution;
  run<A extends unknown[], T>(execution: Execution, task: (...args: A) => T, ...args: A): T;
  /** The call no longer counts as running; returns its CPU time in µs. */
  finish(execution: Execution): number;
}

export function createExecutions(): Executions {
  const { run, current } = createFollowing<Execution>('hearth.execution');
  // In Deno 2.9, ahead of its type declarations: µs of user and system time of the process.
  const { cpuUsage } = Deno as unknown as { cpuUsage(): { user: number; system: number } };
  const dateNow = Date.now;
  let readAt = 0;
  let running = 0;
  let crowded = false;
  let lastReading = 0;
  // Processor sharing: the process's CPU time since the last change, split evenly among the calls that ran meanwhile.
  // Each call's share is the difference of this sum between its end and its start.
  let share = 0;
  /** Whether calls have ended since the last reading. */
  let endedUnread = false;
  /** What those had used that had been answered by the time that it was read: the next call pays it. */
  let owed = 0;
  let readsSoon = false;

  /** Whether the clock was read. */
  function settle(): boolean {
    // Reading the clock costs more than a short call. Under load its calls share what was read within the same ms.
    const now = dateNow();
    if ((running > 1 || crowded) && now === readAt) return false;
    readAt = now;
    read();
    return true;
  }

  function read() {
    const usage = cpuUsage();
    const reading = usage.user + usage.system;
    const used = reading - lastReading;
    lastReading = reading;
    if (running > 0) share += used / running;
    else if (endedUnread) owed += used;
    endedUnread = false;
  }

  /** Before anything else that the process does while it is idle counts as theirs. */
  function readSoon() {
    if (readsSoon) return;
    readsSoon = true;
    after(1, () => {
      readsSoon = false;
      if (running === 0 && endedUnread) read();
    });
  }

  return {
    current,
    arrive(calls) {
      crowded = calls > 1;
    },
    begin(id, internal) {
      settle();
      running++;
      const cpuAtStart = share - owed;
      owed = 0;
      return {
        id,
        logBytes: 0,
        logLines: 0,
        logged: false,
        waiting: 0,
        answered: false,
        cpuAtStart,
        internal,
      };
    },
    run,
    finish(execution) {
      const wasRead = settle();
      running--;
      if (!wasRead) {
        endedUnread = true;
        if (running === 0) readSoon();
      }
      return round(share - execution.cpuAtStart);
    },
  };
}
