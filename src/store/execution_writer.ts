/** Writes executions in batches off the request's path: bounded in memory, patient with a database that is away. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from './connection.js';
import { isDatabaseAway } from './database_errors.js';
import { type Batch, chunksOf, createExecutionBuffer, linesOf, rowsOf } from './execution_buffer.js';
import { copyLines, insertGood } from './execution_copy.js';
import { createToLine } from './execution_row.js';
import type { Execution } from './types.js';

export interface ExecutionWriterOptions {
  /** Executions held at most. Default 20,000. */
  maxRows?: number;
  /** Bytes that they take at most, roughly. Default 32 MiB. */
  maxBytes?: number;
  /** The first one after a pause waits this long for others, in ms. Default 100. */
  intervalMs?: number;
  /** Told how long each batch took, in ms, and what the database said where it was refused. */
  onWrite?: (ms: number, error?: unknown) => void;
  /** Told why a batch has to wait or a row was dropped; both are tried or counted without it. */
  onError?: (error: unknown) => void;
}

export interface ExecutionWriter {
  /** Never waits and never throws: a full buffer gives up its oldest. */
  add(execution: Execution): void;
  /** Writes what is buffered now. @throws what the database said; the rows stay buffered. */
  flush(): Promise<void>;
  /** Writes all that is buffered, trying again until the deadline (default 10,000 ms); drops and counts the rest. */
  stop(deadlineMs?: number): Promise<void>;
  stats(): ExecutionWriterStats;
}

/** Counted in executions since the start. */
export interface ExecutionWriterStats {
  buffered: number;
  written: number;
  dropped: number;
}

/** One COPY's size: large enough to be worth its transaction, small enough not to hold up the process. */
const BATCH_ROWS = 5000;
/** Between the pieces of a batch, in ms: time for calls that wait for the core that PostgreSQL has. */
const PAUSE_MS = 2;

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5000;

export function createExecutionWriter(sql: Sql, options: ExecutionWriterOptions = {}): ExecutionWriter {
  const { maxRows = 20_000, maxBytes = 32 * 1024 * 1024, intervalMs = 100 } = options;
  const { onWrite = () => {}, onError = () => {} } = options;
  const batchRows = Math.max(1, Math.min(BATCH_ROWS, maxRows >> 1));
  const buffer = createExecutionBuffer(maxRows, maxBytes, batchRows);
  const toLine = createToLine();
  let written = 0;
  let dropped = 0;
  let failures = 0;
  /** Flushes that somebody waits for. */
  let awaited = 0;
  /** After the stop's deadline the counts stand. */
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  /** When the timer fires, in ms of performance.now(). */
  let due = 0;
  let writing: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;

  function drop(count: number, error: unknown): void {
    if (closed) return;
    dropped += count;
    onError(error);
  }

  function schedule(afterMs: number): void {
    if (writing !== undefined) return;
    if (timer !== undefined) {
      if (due <= performance.now() + afterMs) return;
      clearTimeout(timer);
    }
    due = performance.now() + afterMs;
    timer = setTimeout(() => {
      // Whoever asked for a flush sees its error; here the back-off has already been set.
      write().catch(onError);
    }, afterMs);
  }

  /** One batch; at most one at a time. */
  function write(): Promise<void> {
    if (writing !== undefined) return writing;
    clearTimeout(timer);
    timer = undefined;
    writing = writeBatch().then(
      () => ended(0),
      (error: unknown) => {
        ended(failures + 1);
        throw error;
      },
    );
    return writing;
  }

  function ended(failed: number): void {
    failures = failed;
    writing = undefined;
    if (buffer.waiting() === 0 || stopped !== undefined) return;
    if (failures > 0) schedule(retryDelay(failures));
    else schedule(buffer.waiting() >= batchRows ? 0 : intervalMs);
  }

  async function writeBatch(): Promise<void> {
    const batch = buffer.take(batchRows);
    const rows = rowsOf(batch);
    if (rows === 0) return;
    const began = performance.now();
    try {
      await copyLines(sql, chunksOf(batch), pause);
      onWrite(performance.now() - began);
    } catch (error) {
      onWrite(performance.now() - began, error);
      if (isDatabaseAway(error)) {
        buffer.restore(batch);
        throw error;
      }
      await writeGood(batch);
      return;
    }
    buffer.settle(batch, rows);
    if (!closed) written += rows;
  }

  /** None where somebody waits, nor where more has come than a batch holds. */
  function pause(): Promise<void> | undefined {
    const isUrgent = awaited > 0 || stopped !== undefined || buffer.waiting() >= batchRows;
    return isUrgent ? undefined : sleep(PAUSE_MS);
  }

  async function writeGood(batch: Batch): Promise<void> {
    try {
      await insertGood(sql, linesOf(batch), (from, to, error) => {
        buffer.settle(batch, to - from);
        if (error !== undefined) drop(to - from, error);
        else if (!closed) written += to - from;
      });
    } catch (error) {
      buffer.restore(batch);
      throw error;
    }
  }

  async function flush(): Promise<void> {
    const goal = written + dropped + buffer.size();
    awaited++;
    try {
      while (!closed && written + dropped < goal) await write();
    } finally {
      awaited--;
    }
  }

  async function stopBy(deadline: number): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    while (buffer.size() > 0 && performance.now() < deadline) {
      const left = () => Math.max(0, deadline - performance.now());
      const timeout = new AbortController();
      try {
        await Promise.race([flush(), sleep(left(), undefined, { signal: timeout.signal })]);
      } catch (error) {
        onError(error);
        await sleep(Math.min(retryDelay(failures), left()));
      } finally {
        timeout.abort();
      }
    }
    // What is being written just now may still get there: but nobody will know.
    const rest = buffer.size();
    if (rest > 0) drop(rest, new Error(`${rest} executions could not be written in time`));
    closed = true;
  }

  return {
    add(execution) {
      if (stopped !== undefined) {
        dropped++;
        return;
      }
      let line: string;
      try {
        line = toLine(execution);
      } catch (error) {
        // An invalid date, or a payload that is no JSON.
        return drop(1, error);
      }
      dropped += buffer.push(line);
      if (writing !== undefined) return;
      if (timer === undefined) schedule(intervalMs);
      else if (failures === 0 && buffer.waiting() === batchRows) schedule(0);
    },
    flush,
    stop(deadlineMs = 10_000) {
      stopped ??= stopBy(performance.now() + deadlineMs);
      return stopped;
    },
    stats: () => ({ buffered: closed ? 0 : buffer.size(), written, dropped }),
  };
}

function retryDelay(failures: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** Math.max(0, failures - 1), LAST_RETRY_MS);
}
