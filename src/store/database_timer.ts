/** What the database takes for an operation, and why it failed, as `db.client.operation.duration`. */
import type { DatabaseAttributes, Instruments } from '../telemetry/instruments.js';

/** @returns to be told how long each one took, in ms, and what was thrown where it failed. */
export function databaseTimer(
  { databaseDuration }: Pick<Instruments, 'databaseDuration'>,
  operation: DatabaseAttributes['db.operation.name'],
): (ms: number, error?: unknown) => void {
  const attributes = { 'db.system.name': 'postgresql', 'db.operation.name': operation } as const;
  const good = databaseDuration.with(attributes);
  return (ms, error) => {
    const series =
      error === undefined ? good : databaseDuration.with({ ...attributes, 'error.type': kindOf(error) });
    series.record(ms / 1000);
  };
}

/** A SQLSTATE or an error code of the connection: a few dozen words in all. */
function kindOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return '_OTHER';
}
