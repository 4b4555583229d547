/** Deletes executions a few thousand at a time: each statement is short, whatever there is to delete. */
import { inBatches } from './batches.js';
import type { Queries } from './connection.js';

const BATCH = 5_000;

/** @param which a condition on `executions` that an index serves. @returns how many were deleted. */
export function deleteExecutions(sql: Queries, which: ReturnType<Queries>): Promise<number> {
  return inBatches(
    BATCH,
    () => sql`
      with gone as materialized (select id, executed_at from executions where ${which} limit ${BATCH})
      delete from executions e using gone where e.id = gone.id and e.executed_at = gone.executed_at`,
  );
}
