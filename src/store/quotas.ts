/** What tenants have used of their quotas, over all nodes: calls and CPU by window, and what each node has running. */
import type { Sql } from './connection.js';

/** One window of one tenant. */
export interface WindowUse {
  tenant: string;
  /** Calls of the minute and the day, seconds of CPU of the month. */
  quota: 'minute' | 'day' | 'month';
  starts_at: Date;
  used: number;
}

/** What one node, or all others together, have running for a tenant. */
export interface Gauge {
  tenant: string;
  concurrent_calls: number;
  processes: number;
  memory_mib: number;
}

export interface QuotaUse {
  /** Adds to each window, negative amounts too, and tells the sums over all nodes. Unknown tenants are left out. */
  add(rows: readonly WindowUse[]): Promise<WindowUse[]>;
  /** The windows that `now` lies in. */
  current(now: Date): Promise<WindowUse[]>;
  /** Writes what this node has running, and tells what the others have. A node that is silent for 5 s does not count. */
  exchange(node: string, gauges: readonly Gauge[]): Promise<Gauge[]>;
  /** The node has nothing running any more. */
  leave(node: string): Promise<void>;
  /** Windows that have ended, and what nodes that are gone have left. */
  dropEnded(now: Date): Promise<void>;
}

export function createQuotaUse(sql: Sql): QuotaUse {
  return {
    async add(rows) {
      if (rows.length === 0) return [];
      const given = rows.map((row) => ({ ...row, starts_at: row.starts_at.toISOString() }));
      // In one order everywhere, so that two nodes do not wait for each other's rows.
      return [
        ...(await sql<WindowUse[]>`
          insert into quota_windows as known (tenant, quota, starts_at, used)
          select given.tenant, given.quota, given.starts_at, given.used
          from jsonb_to_recordset(${sql.json(given)})
            as given (tenant text, quota text, starts_at timestamptz, used double precision)
          join tenants on tenants.slug = given.tenant
          order by given.tenant, given.quota, given.starts_at
          on conflict (tenant, quota, starts_at) do update set used = greatest(0, known.used + excluded.used)
          returning known.tenant, known.quota, known.starts_at, known.used`),
      ];
    },

    async current(now) {
      return [
        ...(await sql<WindowUse[]>`
          select tenant, quota, starts_at, used from quota_windows
          where (quota = 'minute' and starts_at = date_trunc('minute', ${now}::timestamptz, 'UTC'))
            or (quota = 'day' and starts_at = date_trunc('day', ${now}::timestamptz, 'UTC'))
            or (quota = 'month' and starts_at = date_trunc('month', ${now}::timestamptz, 'UTC'))`),
      ];
    },

    async exchange(node, gauges) {
      const given = gauges.map((gauge) => ({ ...gauge }));
      await sql`
        insert into quota_gauges (node, tenant, concurrent_calls, processes, memory_mib, at)
        select ${node}, given.tenant, given.concurrent_calls, given.processes, given.memory_mib, now()
        from jsonb_to_recordset(${sql.json(given)})
          as given (tenant text, concurrent_calls int, processes int, memory_mib int)
        join tenants on tenants.slug = given.tenant
        on conflict (node, tenant) do update set
          concurrent_calls = excluded.concurrent_calls,
          processes = excluded.processes,
          memory_mib = excluded.memory_mib,
          at = excluded.at`;
      return [
        ...(await sql<Gauge[]>`
          select tenant, sum(concurrent_calls)::int as concurrent_calls, sum(processes)::int as processes,
            sum(memory_mib)::int as memory_mib
          from quota_gauges where node <> ${node} and at > now() - interval '5 seconds'
          group by tenant`),
      ];
    },

    async leave(node) {
      await sql`delete from quota_gauges where node = ${node}`;
    },

    async dropEnded(now) {
      await sql`
        delete from quota_windows
        where (quota = 'minute' and starts_at < ${now}::timestamptz - interval '1 hour')
          or (quota = 'day' and starts_at < ${now}::timestamptz - interval '2 days')
          or starts_at < ${now}::timestamptz - interval '400 days'`;
      await sql`delete from quota_gauges where at < now() - interval '1 minute'`;
    },
  };
}
