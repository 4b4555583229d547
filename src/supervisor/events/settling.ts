/** Writes what became of due work: many at a time, and again until the database has it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDatabaseAway } from '../../store/database_errors.js';
import type { SettledEvent } from '../../store/events_settle.js';

export interface Settling {
  add(event: SettledEvent): void;
  /** Resolves when all is written, or could not be for so long: it is then done again, once its lease is over. */
  stop(deadlineMs: number): Promise<void>;
}

export interface SettlingOptions {
  write(events: readonly SettledEvent[]): Promise<unknown>;
  /** It is written, or was no longer ours. */
  onSettled(events: readonly SettledEvent[]): void;
  onError(error: unknown): void;
}

const BATCH = 100;
const RETRY_MS = 250;

export function createSettling({ write, onSettled, onError }: SettlingOptions): Settling {
  const queue: SettledEvent[] = [];
  let writing: Promise<void> | null = null;
  let deadline = Number.POSITIVE_INFINITY;

  async function writeAll() {
    while (queue.length > 0) {
      const batch = queue.slice(0, BATCH);
      try {
        await write(batch);
        queue.splice(0, batch.length);
        onSettled(batch);
      } catch (error) {
        // That it is away the health check reports.
        if (!isDatabaseAway(error)) onError(error);
        if (performance.now() >= deadline) return;
        await sleep(RETRY_MS);
      }
    }
  }

  function start(): Promise<void> {
    writing ??= writeAll().finally(() => {
      writing = null;
    });
    return writing;
  }

  return {
    add(event) {
      queue.push(event);
      void start();
    },
    async stop(deadlineMs) {
      deadline = performance.now() + deadlineMs;
      await start();
    },
  };
}
