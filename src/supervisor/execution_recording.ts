/** Executions on their way to the database: joined with their logs, without secrets, counted for their tenant. */
import { createExecutionWriter, type ExecutionWriterStats } from '../store/execution_writer.js';
import type { Store } from '../store/main.js';
import type { Execution } from '../store/types.js';
import type { UsageLedger } from '../store/usage_ledger.js';
import { createExecutionJoin, type ExecutionJoin } from './execution_join.js';
import type { ExecutionRow } from './protocol.js';
import { createRedaction, type Redaction } from './redaction.js';

export interface ExecutionRecording extends Pick<ExecutionJoin, 'onLog' | 'onEnd' | 'flush'> {
  /** What a router tells of one. */
  add(row: ExecutionRow): void;
  /** Which processes have secrets, and until when. */
  readonly secrets: Pick<Redaction, 'given' | 'ended'>;
  tick(): void;
  stats(): ExecutionWriterStats;
  /** Writes what was joined, trying again for 10 s at most. */
  stop(): Promise<void>;
}

export interface ExecutionRecordingOptions {
  store: Pick<Store, 'sql' | 'executions'>;
  ledger: Pick<UsageLedger, 'add'>;
  /** How long a batch took to write, in ms, and what the database said where it was refused. */
  onWrite(ms: number, error?: unknown): void;
  /** One is as complete as it gets. Whether somebody else writes it: that of due work is there already. */
  onComplete(execution: Execution): boolean;
  /** Unix ms. */
  now(): number;
  onError(error: unknown): void;
}

export function createExecutionRecording(options: ExecutionRecordingOptions): ExecutionRecording {
  const { store, ledger, onWrite, onComplete, now, onError } = options;
  const writer = createExecutionWriter(store.sql, { onError, onWrite });
  const redaction = createRedaction(now);
  const write = (execution: Execution) => {
    if (!onComplete(execution)) writer.add(execution);
  };
  const join = createExecutionJoin({
    write(execution) {
      // Of those that were complete their router has counted the CPU.
      ledger.add(execution, { cpu_ms: execution.cpu_ms ?? 0 });
      write(execution);
    },
    flushWriter: writer.flush,
    amend: (functionId, id, logs) => store.executions.amend(functionId, id, { logs }),
    onError,
    now,
  });

  return {
    add(row) {
      const execution = redaction.of(row);
      if (row.complete) write(execution);
      else join.onRecord(execution, true);
    },
    onLog: join.onLog,
    onEnd: join.onEnd,
    secrets: redaction,
    tick() {
      join.tick(now());
      redaction.tick();
    },
    flush: join.flush,
    stats: writer.stats,
    stop: () => writer.stop(),
  };
}
