/** The executions that are stored: how they are found, listed and added to, and their keeping. */
import type { Queries, Sql } from './connection.js';
import { cut64k } from './cut.js';
import { createPartitions, type Dropped, dropExpired } from './execution_partitions.js';
import type { ExecutionState, StoredExecution, TriggerType } from './types.js';
import { uuidv7Time } from './uuidv7.js';

export interface ExecutionQuery {
  limit: number;
  status?: ExecutionState | undefined;
  trigger_type?: TriggerType | undefined;
  /** An execution's id: only older ones. */
  before?: string | undefined;
}

export interface Executions {
  /** Newest first. Empty when `before` is no UUIDv7. */
  list(tenant: string, functionId: string, query: ExecutionQuery): Promise<StoredExecution[]>;
  /** Null when there is none, or `id` is no UUIDv7. */
  find(tenant: string, id: string): Promise<StoredExecution | null>;
  /**
   * Adds what came after the answer. Logs are appended, and cut at 64 KiB all in all.
   *
   * @returns false when the execution is not there: it may still be in the writer's buffer.
   */
  amend(functionId: string, id: string, added: { logs?: string; cpu_ms?: number }): Promise<boolean>;
  /** Makes the partitions of today (UTC) and the days after it. @returns the names of those that are new. */
  createPartitions(now: Date, days?: number): Promise<string[]>;
  /** Deletes what is older than its tenant's retention, and what only deleted functions had use for. */
  dropExpired(now: Date): Promise<Dropped>;
}

const HOUR_MS = 3_600_000;

export function createExecutions(sql: Sql): Executions {
  return {
    async list(tenant, functionId, { limit, status, trigger_type, before }) {
      if (before !== undefined && uuidv7Time(before) === null) return [];
      return await sql.asTenant(tenant, async (sql) => [
        ...(await sql<StoredExecution[]>`
          select ${executionColumns(sql)} from executions
          where function_id = ${functionId} and tenant = ${tenant}
            ${before === undefined ? sql`` : sql`and id < ${before}`}
            ${ofStatus(sql, status)}
            ${trigger_type === undefined ? sql`` : sql`and trigger_type = ${trigger_type}`}
          order by id desc limit ${limit}`),
      ]);
    },

    find: (tenant, id) =>
      sql.asTenant(tenant, async (sql) => {
        const days = daysOf(sql, id);
        if (days === null) return null;
        const [row] = await sql<StoredExecution[]>`
          select ${executionColumns(sql)} from executions
          where id = ${id} and ${days} and tenant = ${tenant}
            and not exists (select from departed_functions d where d.id = function_id)`;
        return row ?? null;
      }),

    async amend(functionId, id, { logs, cpu_ms }) {
      const days = daysOf(sql, id);
      if (days === null) return false;
      return sql.transaction(async (sql) => {
        const [row] = await sql<{ logs: string | null }[]>`
          select logs from executions
          where id = ${id} and function_id = ${functionId} and ${days} for update`;
        if (row === undefined) return false;
        const all = logs === undefined ? row.logs : cut64k((row.logs ?? '') + logs.replaceAll('\0', ''));
        await sql`
          update executions set logs = ${all}, cpu_ms = coalesce(${cpu_ms ?? null}, cpu_ms)
          where id = ${id} and ${days}`;
        return true;
      });
    },

    createPartitions: (now, days = 3) => createPartitions(sql, now, days),
    dropExpired: (now) => dropExpired(sql, now),
  };
}

function executionColumns(sql: Queries) {
  return sql`
    id, tenant, function_id, function_name, version, trigger_type, trigger_payload, status, status_code, duration_ms,
    cpu_ms, cold_start, result, logs, error_message, error_stack, executed_at, completed_at, request_id`;
}

/** Said twice, so that PostgreSQL sees that the small index of failures serves, or that of what has not ended. */
function ofStatus(sql: Queries, status: ExecutionState | undefined) {
  if (status === undefined) return sql``;
  switch (status) {
    case 'success':
      return sql`and status = 'success'`;
    case 'pending':
    case 'running':
      return sql`and status = ${status} and status in ('pending', 'running')`;
    default:
      return sql`and status = ${status} and status <> 'success'`;
  }
}

/**
 * Leaves only the partitions that the execution can be in, by the time in its id. What runs by a row's order may have
 * waited: up to a day.
 */
function daysOf(sql: Queries, id: string) {
  const time = uuidv7Time(id);
  if (time === null) return null;
  return sql`executed_at between ${new Date(time - HOUR_MS)} and ${new Date(time + 24 * HOUR_MS)}`;
}
