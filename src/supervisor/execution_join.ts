/**
 * Joins an execution's record, which its router writes, with its log, which its process tells the supervisor: whichever
 * comes first waits for the other, and what comes late is added to the row.
 */
import type { LogLine } from '../pool/messages.js';
import type { Execution } from '../store/types.js';

export interface ExecutionJoin {
  /** Of a process of that function: what it says of another's execution is about none. */
  onLog(functionId: string, executionId: string, lines: readonly LogLine[]): void;
  /** The process says no more about it; µs of CPU, or -1. */
  onEnd(functionId: string, executionId: string, cpuUs: number): void;
  onRecord(execution: Execution, keepLogs: boolean): void;
  tick(now: number): void;
  flush(): Promise<void>;
}

export interface ExecutionJoinOptions {
  write(execution: Execution): void;
  flushWriter(): Promise<void>;
  /** Adds lines to a row; false when there is no such row (yet). */
  amend(functionId: string, executionId: string, logs: string): Promise<boolean>;
  onError(error: unknown): void;
  now(): number;
}

interface Entry {
  functionId: string;
  id: string;
  lines: string[];
  bytes: number;
  ended: boolean;
  /** Whether that was of what is written: due work may have another attempt, which ends by itself. */
  spent: boolean;
  /** Written at this time; lines after that are added. */
  writtenAt: number;
  keepLogs: boolean;
  since: number;
  /** Whether its row has lines already. */
  hasLines: boolean;
  /** When to try next to add lines to a row that its router may have written by itself. */
  nextTry: number;
  wait: number;
}

/**
 * ms that a record waits for the process's `end`, which is on its way when the record comes. Where the cores are busy, that
 * takes a while.
 */
const JOIN_WAIT_MS = 500;
/** ms after which a written row can be amended: its batch is in the database by then. */
const AMEND_AFTER_MS = 1_000;
/** ms that lines without a record are kept: longer than any call may run. */
const FORGET_AFTER_MS = 320_000;
const MAX_ENTRIES = 50_000;
const MAX_LOG_BYTES = 64 * 1024;

export function createExecutionJoin(options: ExecutionJoinOptions): ExecutionJoin {
  const entries = new Map<string, Entry>();
  const held = new Map<string, { execution: Execution; since: number }>();
  let amending = Promise.resolve();

  function entryOf(functionId: string, id: string): Entry {
    const key = keyOf(functionId, id);
    let entry = entries.get(key);
    if (entry === undefined) {
      if (entries.size >= MAX_ENTRIES) entries.delete(entries.keys().next().value ?? '');
      const since = options.now();
      const nextTry = since + AMEND_AFTER_MS;
      entry = {
        functionId,
        id,
        lines: [],
        bytes: 0,
        ended: false,
        spent: false,
        writtenAt: 0,
        keepLogs: true,
        since,
        hasLines: false,
        nextTry,
        wait: AMEND_AFTER_MS,
      };
      entries.set(key, entry);
    }
    return entry;
  }

  function write(execution: Execution) {
    const key = keyOf(execution.function_id, execution.id);
    const entry = entries.get(key);
    held.delete(key);
    if (entry === undefined) return options.write(execution);
    const logs = entry.keepLogs && entry.lines.length > 0 ? entry.lines.join('\n') : null;
    entry.hasLines ||= logs !== null;
    entry.lines = [];
    entry.spent = true;
    entry.writtenAt = options.now();
    options.write({ ...execution, logs });
  }

  function amend(entry: Entry, now: number) {
    const { functionId, id, lines } = entry;
    entry.lines = [];
    if (!entry.keepLogs) return;
    entry.wait *= 2;
    entry.nextTry = now + entry.wait;
    const logs = (entry.hasLines ? '\n' : '') + lines.join('\n');
    amending = amending
      .then(() => options.amend(functionId, id, logs))
      .then((found) => {
        if (found) entry.hasLines = true;
        else entry.lines = [...lines, ...entry.lines]; // its call still runs: the record will bring them along
      })
      .catch(options.onError);
  }

  return {
    onLog(functionId, id, lines) {
      const entry = entryOf(functionId, id);
      for (const [, level, text] of lines) {
        if (entry.bytes > MAX_LOG_BYTES) return;
        entry.bytes += text.length + 1;
        entry.lines.push(level === 'log' || level === 'info' ? text : `[${level}] ${text}`);
      }
    },
    onEnd(functionId, id, cpuUs) {
      const entry = entryOf(functionId, id);
      entry.ended = true;
      entry.spent = false;
      const waiting = held.get(keyOf(functionId, id));
      if (waiting === undefined) return;
      if (cpuUs >= 0) waiting.execution.cpu_ms ??= cpuUs / 1000;
      write(waiting.execution);
    },
    onRecord(execution, keepLogs) {
      const key = keyOf(execution.function_id, execution.id);
      const entry = entries.get(key);
      if (entry !== undefined) entry.keepLogs = keepLogs;
      if (entry?.ended === true && !entry.spent) return write(execution);
      held.set(key, { execution, since: options.now() });
    },
    tick(now) {
      for (const { execution, since } of held.values()) if (now - since >= JOIN_WAIT_MS) write(execution);
      for (const [key, entry] of entries) {
        const due = entry.writtenAt > 0 ? entry.writtenAt + AMEND_AFTER_MS : entry.nextTry;
        if (entry.lines.length > 0 && now >= due && now >= entry.nextTry && !held.has(key)) amend(entry, now);
        const keepFor = entry.ended && entry.lines.length === 0 ? AMEND_AFTER_MS * 2 : FORGET_AFTER_MS;
        if (now - Math.max(entry.writtenAt, entry.since) >= keepFor) entries.delete(key);
      }
    },
    async flush() {
      for (const { execution } of [...held.values()]) write(execution);
      await options.flushWriter();
      for (const entry of entries.values())
        if (entry.writtenAt > 0 && entry.lines.length > 0) amend(entry, options.now());
      await amending;
    },
  };
}

function keyOf(functionId: string, executionId: string): string {
  return `${functionId} ${executionId}`;
}
