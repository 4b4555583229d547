/** What becomes of due work once an attempt is over, and of its execution: in one transaction, as long as it is still ours. */
import type { Queries, Sql } from './connection.js';
import { cut64k } from './cut.js';
import { isBadData } from './database_errors.js';
import { keepNewestDead } from './events_ends.js';
import type { Execution, ExecutionState } from './types.js';

/** What an execution comes to, or has come to so far. */
export interface SettledExecution
  extends Pick<
    Execution,
    'status_code' | 'duration_ms' | 'cpu_ms' | 'cold_start' | 'result' | 'error_message' | 'error_stack'
  > {
  status: ExecutionState;
  /** Null: as it is. */
  version: number | null;
  /** Added to what is there. */
  logs: string | null;
}

export interface SettledEvent {
  id: string;
  executedAt: Date;
  /** Of the claim: nobody else has begun it again. */
  attempts: number;
  /** `over`: it is no more. `dead`: it is kept, and not tried again. `waiting`: it is, in `afterMs`. */
  to: 'over' | 'dead' | 'waiting';
  afterMs: number;
  /** Whether the attempt counts. */
  counts: boolean;
  execution: SettledExecution;
}

export async function settleEvents(
  sql: Sql,
  node: string,
  events: readonly SettledEvent[],
): Promise<Set<string>> {
  if (events.length === 0) return new Set();
  try {
    return await settle(sql, node, events);
  } catch (error) {
    if (!isBadData(error)) throw error;
    if (events.length === 1) return await settle(sql, node, events.map(withoutTexts));
    // One of them is to blame, and does not keep the others.
    const settled = new Set<string>();
    for (const event of events) for (const id of await settleEvents(sql, node, [event])) settled.add(id);
    return settled;
  }
}

function settle(sql: Sql, node: string, events: readonly SettledEvent[]): Promise<Set<string>> {
  return sql.transaction(async (sql) => {
    const logs = await joinedLogs(sql, events);
    const given = events.map(({ id, executedAt, attempts, to, afterMs, counts, execution }) => ({
      id,
      executed_at: executedAt.toISOString(),
      attempts,
      to,
      after_ms: afterMs,
      counts,
      ...execution,
      result: storable(execution.result),
      error_message: storable(execution.error_message),
      error_stack: storable(execution.error_stack),
      logs: logs.get(id) ?? null,
      ended: execution.status !== 'pending',
    }));
    const rows = await sql<{ id: string; died: string | null }[]>`
      with given as (
        select * from jsonb_to_recordset(${sql.json(given)}) as g (
          id uuid, executed_at timestamptz, attempts int, "to" text, after_ms float8, counts boolean, status text,
          version int, status_code smallint, duration_ms float8, cpu_ms float8, cold_start boolean, result text,
          logs text, error_message text, error_stack text, ended boolean)
      ), over as (
        delete from events e using given g
        where g."to" = 'over' and e.id = g.id and e.state = 'running' and e.leased_by = ${node} and e.attempts = g.attempts
        returning e.id, null::text as died
      ), kept as (
        update events e set
          state = g."to",
          due_at = now() + g.after_ms * interval '1 millisecond',
          attempts = e.attempts - case when g.counts then 0 else 1 end,
          leased_by = null,
          leased_until = null,
          last_error = g.error_message,
          died_at = case when g."to" = 'dead' then now() end
        from given g
        where g."to" <> 'over' and e.id = g.id and e.state = 'running' and e.leased_by = ${node} and e.attempts = g.attempts
        returning e.id, case when e.state = 'dead' then e.tenant end as died
      ), ours as (
        select * from over union all select * from kept
      ), recorded as (
        update executions x set
          status = g.status,
          version = coalesce(g.version, x.version),
          status_code = g.status_code,
          duration_ms = g.duration_ms,
          cpu_ms = g.cpu_ms,
          cold_start = g.cold_start,
          result = g.result,
          logs = coalesce(g.logs, x.logs),
          error_message = g.error_message,
          error_stack = g.error_stack,
          completed_at = case when g.ended then clock_timestamp() end
        from given g join ours using (id)
        where x.id = g.id and x.executed_at = g.executed_at
      )
      select id, died from ours`;
    await keepNewestDead(sql, new Set(rows.flatMap(({ died }) => died ?? [])));
    return new Set(rows.map(({ id }) => id));
  });
}

/** What is there of an execution's log already, from this attempt or one before, with what comes now. */
async function joinedLogs(sql: Queries, events: readonly SettledEvent[]): Promise<Map<string, string>> {
  const logs = new Map<string, string>();
  for (const { id, executedAt, execution } of events) {
    const added = storable(execution.logs);
    if (added === null) continue;
    const [row] = await sql<{ logs: string | null }[]>`
      select logs from executions where id = ${id} and executed_at = ${executedAt} for update`;
    const before = row?.logs ?? '';
    logs.set(id, cut64k(before === '' ? added : `${before}\n${added}`));
  }
  return logs;
}

/** What PostgreSQL takes as text in JSON: no NUL, no half of a surrogate pair; 64 KiB at most. */
function storable(text: string | null): string | null {
  if (text === null) return null;
  return cut64k(text.replaceAll('\0', '').replace(LONE_SURROGATES, '\uFFFD'));
}

const LONE_SURROGATES = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

function withoutTexts(event: SettledEvent): SettledEvent {
  const execution = {
    ...event.execution,
    result: null,
    logs: null,
    error_stack: null,
    error_message: 'What it came to cannot be stored.',
  };
  return { ...event, execution };
}
