/** What becomes of an execution once its call is over: written here in batches, or joined by the supervisor. */
import type { Execution } from '../store/types.js';
import type { ExecutionRow, ToSupervisor } from '../supervisor/protocol.js';

export interface ExecutionNotes {
  /** Complete: nothing more is known about it anywhere. */
  done(execution: Execution): void;
  /** The supervisor writes it: it has its logs or its last lines, or the secrets that are to be taken out of it. */
  handOver(row: ExecutionRow): void;
  /** Resolves when all that was noted is written or handed over. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

/** What the store's execution writer offers. */
export interface Writer {
  add(execution: Execution): void;
  flush(): Promise<void>;
  stop(): Promise<void>;
}

/** ms that a batch for the supervisor collects. */
const BATCH_MS = 20;
const MAX_BATCH = 500;

export function createExecutionNotes(writer: Writer, send: (message: ToSupervisor) => void): ExecutionNotes {
  let batch: ExecutionRow[] = [];
  let timer: NodeJS.Timeout | null = null;

  function sendBatch() {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (batch.length === 0) return;
    send({ t: 'executions', rows: batch });
    batch = [];
  }

  return {
    done: (execution) => writer.add(execution),
    handOver(row) {
      batch.push(row);
      if (batch.length >= MAX_BATCH) sendBatch();
      else timer ??= setTimeout(sendBatch, BATCH_MS);
    },
    async flush() {
      sendBatch();
      await writer.flush();
    },
    async stop() {
      sendBatch();
      await writer.stop();
    },
  };
}
