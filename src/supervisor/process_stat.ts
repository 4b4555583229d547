/**
 * Memory and CPU of a process. Linux tells them in one line of proc(5), which is read at once: hundreds of processes are
 * looked at each second, and a turn through the thread pool for each, as pidusage takes it, costs more than all else there.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import pidusage from 'pidusage';

export interface Usage {
  /** Bytes of resident memory. */
  memory: number;
  /** ms of CPU since the process started. */
  cpuMs: number;
}

export interface UsageReader {
  /** Of those that live; one that is gone is left out. */
  read(pids: readonly number[]): Promise<Map<number, Usage>>;
  stop(): void;
}

/** Clock ticks per second that Linux shows to programs, on every machine (time(7), USER_HZ). */
const TICKS = 100;
/** Of the fields after the program's name, which is in brackets and may have any of them in it. */
const USER_TIME = 11;
const SYSTEM_TIME = 12;
const RESIDENT_PAGES = 21;
/** Bytes that a line has room in. */
const LINE = 1024;

export function createUsageReader(): UsageReader {
  return process.platform === 'linux' ? fromProc() : fromPidusage();
}

function fromProc(): UsageReader {
  const line = Buffer.alloc(LINE);
  const pageSize = bytesOfPage();

  function usageOf(pid: number): Usage | null {
    let file: number;
    try {
      file = openSync(`/proc/${pid}/stat`, 'r');
    } catch {
      return null; // it is gone
    }
    try {
      const fields = fieldsOf(line.toString('latin1', 0, readSync(file, line, 0, LINE, 0)));
      const ticks = Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME]);
      return { memory: Number(fields[RESIDENT_PAGES]) * pageSize, cpuMs: (ticks * 1000) / TICKS };
    } catch {
      return null; // it went meanwhile
    } finally {
      closeSync(file);
    }
  }

  return {
    async read(pids) {
      const found = new Map<number, Usage>();
      for (const pid of pids) {
        const usage = usageOf(pid);
        if (usage !== null) found.set(pid, usage);
      }
      return found;
    },
    stop() {},
  };
}

function fieldsOf(line: string): string[] {
  return line.slice(line.lastIndexOf(')') + 2).split(' ');
}

/** By what this process has, in bytes and in pages: a power of two. */
function bytesOfPage(): number {
  const pages = Number(fieldsOf(readFileSync('/proc/self/stat', 'latin1'))[RESIDENT_PAGES]);
  return 2 ** Math.round(Math.log2(process.memoryUsage.rss() / pages));
}

function fromPidusage(): UsageReader {
  return {
    async read(pids) {
      try {
        const usages = pids.length === 0 ? {} : await pidusage([...pids]);
        return new Map(
          Object.entries(usages).flatMap(([pid, usage]) =>
            usage ? [[Number(pid), { memory: usage.memory, cpuMs: usage.ctime }] as const] : [],
          ),
        );
      } catch (error) {
        if (isGone(error)) return new Map();
        throw error;
      }
    },
    stop: () => pidusage.clear(),
  };
}

/** pidusage rejects when a pid of its list does not exist any more. */
function isGone(error: unknown): boolean {
  return error instanceof Error && /No matching pid|ENOENT|ESRCH/.test(error.message);
}
