/** A bounded queue of executions: full, it gives up its oldest. */
import { CUT_BYTES, cut64k } from './cut.js';
import type { Execution } from './types.js';

export interface ExecutionBuffer {
  /** @returns how many had to go for it: the oldest, or itself when all room is taken by what is being written. */
  push(execution: Execution): number;
  /** Takes the oldest out: at least one if there is one. Their room stays taken until settled or given back. */
  take(maxRows: number, maxBytes: number): Held[];
  /** What was taken is done with. */
  settle(held: Held[]): void;
  /** What was taken goes back to its place, as the oldest. */
  restore(held: Held[]): void;
  /** Waiting, without what is taken. */
  waiting(): number;
  /** Waiting and taken. */
  size(): number;
}

/** An execution with its share of the limit, in bytes. */
export interface Held {
  execution: Execution;
  bytes: number;
}

/** What an execution without its texts takes, roughly, in bytes. */
const ROW_BYTES = 400;

export function createExecutionBuffer(maxRows: number, maxBytes: number): ExecutionBuffer {
  const ring = new Array<Held | undefined>(maxRows).fill(undefined);
  let head = 0;
  let count = 0;
  let taken = 0;
  let bytes = 0;

  function shift(): Held | undefined {
    const held = ring[head];
    ring[head] = undefined;
    head = (head + 1) % maxRows;
    count--;
    return held;
  }

  return {
    push(added) {
      const execution = withinLimits(added);
      const held = { execution, bytes: bytesOf(execution) };
      let gone = 0;
      while (count > 0 && (count + taken >= maxRows || bytes + held.bytes > maxBytes)) {
        bytes -= shift()?.bytes ?? 0;
        gone++;
      }
      if (count + taken >= maxRows || bytes + held.bytes > maxBytes) return gone + 1;
      ring[(head + count) % maxRows] = held;
      count++;
      bytes += held.bytes;
      return gone;
    },
    take(maxTaken, limit) {
      const batch: Held[] = [];
      let size = 0;
      while (count > 0 && batch.length < maxTaken) {
        size += ring[head]?.bytes ?? 0;
        if (size > limit && batch.length > 0) break;
        const held = shift();
        if (held !== undefined) batch.push(held);
      }
      taken += batch.length;
      return batch;
    },
    settle(batch) {
      taken -= batch.length;
      for (const held of batch) bytes -= held.bytes;
    },
    restore(batch) {
      taken -= batch.length;
      for (const held of batch.toReversed()) {
        head = (head - 1 + maxRows) % maxRows;
        ring[head] = held;
        count++;
      }
    },
    waiting: () => count,
    size: () => count + taken,
  };
}

function withinLimits(execution: Execution): Execution {
  const { result, logs, error_message, error_stack } = execution;
  if (short(result) && short(logs) && short(error_message) && short(error_stack)) return execution;
  return {
    ...execution,
    result: cut(result),
    logs: cut(logs),
    error_message: cut(error_message),
    error_stack: cut(error_stack),
  };
}

function short(text: string | null): boolean {
  return text === null || text.length * 3 <= CUT_BYTES;
}

function cut(text: string | null): string | null {
  return text === null ? null : cut64k(text);
}

function bytesOf(e: Execution): number {
  return (
    ROW_BYTES +
    (e.result?.length ?? 0) +
    (e.logs?.length ?? 0) +
    (e.error_message?.length ?? 0) +
    (e.error_stack?.length ?? 0) +
    (e.trigger_payload === null ? 0 : payloadBytes(e.trigger_payload, { left: 200 }))
  );
}

/** An estimate that looks at 200 values at most, and takes each one beyond for 32 bytes. */
function payloadBytes(value: unknown, budget: { left: number }): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 8;
  let total = 16;
  const values: unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (const [index, item] of values.entries()) {
    if (budget.left-- <= 0) return total + (values.length - index) * 32;
    total += 16 + payloadBytes(item, budget);
  }
  return total;
}
