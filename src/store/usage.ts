/** What tenants' functions have used, by the hour (UTC). */
import { inBatches } from './batches.js';
import type { Queries, Sql } from './connection.js';

export interface UsageFigures {
  calls: number;
  /** ms of CPU. */
  cpu_ms: number;
  /** Its memory limit in MiB times the seconds that its processes lived. */
  mib_seconds: number;
  /** Bytes of answers' bodies. */
  egress_bytes: number;
  cold_starts: number;
}

/** What is added to one function's hour. */
export interface UsageDelta extends UsageFigures {
  tenant: string;
  function_id: string;
  function_name: string;
  hour: Date;
}

/** What one writer adds at once. */
export interface UsageBatch {
  /** A UUID. */
  writer: string;
  /** Counts the writer's batches from 1 on. One that is sent again, as it may have been added or not, has its old number. */
  sequence: number;
  deltas: readonly UsageDelta[];
}

export type UsageGroup = 'total' | 'hour' | 'day' | 'function';

export interface UsageQuery {
  /** On the hour; included. */
  from: Date;
  /** On the hour; not included. */
  to: Date;
  group: UsageGroup;
  /** A function's name; undefined: all. */
  function?: string | undefined;
  limit: number;
  /** Of functions: only those with a higher id. */
  after?: string | undefined;
}

/** Of the group's own columns those are there that it has. */
export interface UsageRow extends UsageFigures {
  /** The beginning of the hour or the day. */
  start: Date | null;
  function_id: string | null;
  function_name: string | null;
}

export interface Usage {
  /**
   * Adds all of it or nothing, and nothing where the writer's batch of that number was added already. What is of a function
   * that was deleted with its tenant is left out.
   */
  add(batch: UsageBatch): Promise<void>;
  /** In the order of time, or of functions' ids. */
  read(tenant: string, query: UsageQuery): Promise<UsageRow[]>;
  /** Deletes what is older than 13 months, and writers that have written nothing for so long. @returns how many rows. */
  dropExpired(): Promise<number>;
}

const BATCH = 5_000;

export function createUsage(sql: Sql): Usage {
  return {
    async add({ writer, sequence, deltas }) {
      if (deltas.length === 0) return;
      const rows = deltas.map((delta) => ({ ...delta, hour: delta.hour.toISOString() }));
      // In one order everywhere, so that two routers that write the same hours never wait for each other in a circle.
      await sql`
        with taken as (
          insert into usage_writers as w (writer, sequence, written_at) values (${writer}, ${sequence}, now())
          on conflict (writer) do update set sequence = excluded.sequence, written_at = excluded.written_at
          where w.sequence < excluded.sequence
          returning writer)
        insert into usage_hours as u
          (tenant, function_id, hour, function_name, calls, cpu_ms, mib_seconds, egress_bytes, cold_starts)
        select tenant, function_id, hour, function_name, calls, cpu_ms, mib_seconds, egress_bytes, cold_starts
        from jsonb_to_recordset(${sql.json(rows)}) as d (
          tenant text, function_id uuid, hour timestamptz, function_name text, calls bigint, cpu_ms double precision,
          mib_seconds double precision, egress_bytes bigint, cold_starts bigint)
        where exists (select from taken)
          and not exists (select from departed_functions g where g.id = d.function_id)
        order by tenant, hour, function_id
        on conflict (tenant, hour, function_id) do update set
          calls = u.calls + excluded.calls,
          cpu_ms = u.cpu_ms + excluded.cpu_ms,
          mib_seconds = u.mib_seconds + excluded.mib_seconds,
          egress_bytes = u.egress_bytes + excluded.egress_bytes,
          cold_starts = u.cold_starts + excluded.cold_starts`;
    },

    read: (tenant, query) =>
      sql.asTenant(tenant, async (sql) => {
        const { from, to, group, after, limit } = query;
        const { columns, by } = grouping(sql, group);
        return [
          ...(await sql<UsageRow[]>`
            select ${columns}, coalesce(sum(calls), 0)::float8 as calls, coalesce(sum(cpu_ms), 0) as cpu_ms,
              coalesce(sum(mib_seconds), 0) as mib_seconds, coalesce(sum(egress_bytes), 0)::float8 as egress_bytes,
              coalesce(sum(cold_starts), 0)::float8 as cold_starts
            from usage_hours
            where tenant = ${tenant} and hour >= ${from} and hour < ${to}
              ${query.function === undefined ? sql`` : sql`and function_name = ${query.function}`}
              ${after === undefined ? sql`` : sql`and function_id > ${after}`}
            ${by} limit ${limit}`),
        ];
      }),

    async dropExpired() {
      const hours = await inBatches(
        BATCH,
        () => sql`
          delete from usage_hours where ctid = any(array(
            select ctid from usage_hours where hour < now() - interval '13 months' limit ${BATCH}))`,
      );
      const writers = await inBatches(
        BATCH,
        () => sql`
          delete from usage_writers where ctid = any(array(
            select ctid from usage_writers where written_at < now() - interval '13 months' limit ${BATCH}))`,
      );
      return hours + writers;
    },
  };
}

function grouping(sql: Queries, group: UsageGroup) {
  switch (group) {
    case 'total':
      return { columns: sql`null as start, null as function_id, null as function_name`, by: sql`` };
    case 'function':
      return {
        columns: sql`null as start, function_id, function_name`,
        by: sql`group by function_id, function_name order by function_id`,
      };
    default:
      return {
        columns: sql`date_trunc(${group}, hour, 'UTC') as start, null as function_id, null as function_name`,
        by: sql`group by 1 order by 1`,
      };
  }
}
