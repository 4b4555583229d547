/** How far each schedule has come, and the ticks that become due work: once for the cluster, whichever node comes first. */
import type { Sql } from './connection.js';

export interface StoredSchedule {
  function_id: string;
  schedule: string;
  /** No tick up to that is made any more. */
  last_tick: Date;
}

/** A schedule's time has come. */
export interface Tick {
  functionId: string;
  schedule: string;
  /** By the schedule: the same at every node. */
  at: Date;
  /** A UUIDv7: the event's and its execution's. */
  id: string;
  /** Of the execution, in whole ms. */
  now: Date;
}

/** Ids of functions. Ticks that another node was first with, or that do not count any more, are none of these. */
export interface TicksMade {
  made: string[];
  /** The tick before it is not over yet. */
  skipped: string[];
  /** By the database's clock its time has not come. */
  early: string[];
  /** The database's clock. */
  now: Date;
}

export interface Schedules {
  all(): Promise<{ schedules: StoredSchedule[]; now: Date }>;
  /** Schedules that are new, were changed or count again: nothing before `since` is made. */
  begin(
    rows: readonly { functionId: string; tenant: string; schedule: string; since: Date }[],
  ): Promise<void>;
  /**
   * One for each function at most. Left out where the function has another schedule by now, is disabled or deleted, or
   * its tenant is not active. The database's clock decides whether its time has come: a tick that was made in advance
   * would have none made until then, by any node.
   */
  tick(ticks: readonly Tick[]): Promise<TicksMade>;
}

export function createSchedules(sql: Sql): Schedules {
  return {
    async all() {
      const schedules = await sql<StoredSchedule[]>`select function_id, schedule, last_tick from schedules`;
      const [clock] = await sql<{ now: Date }[]>`select now() as now`;
      return { schedules: [...schedules], now: clock?.now ?? new Date() };
    },

    async begin(rows) {
      if (rows.length === 0) return;
      const given = rows.map(({ functionId, tenant, schedule, since }) => ({
        function_id: functionId,
        tenant,
        schedule,
        since: since.toISOString(),
      }));
      // In one order everywhere, so that two nodes do not wait for each other's rows.
      await sql`
        insert into schedules as s (function_id, tenant, schedule, last_tick)
        select g.function_id, f.tenant, g.schedule, g.since
        from jsonb_to_recordset(${sql.json(given)}) as g (function_id uuid, schedule text, since timestamptz)
        join functions f on f.id = g.function_id and f.cron_schedule = g.schedule and f.deleted_at is null
        order by g.function_id
        on conflict (function_id) do update set
          schedule = excluded.schedule, last_tick = greatest(s.last_tick, excluded.last_tick)`;
    },

    async tick(ticks) {
      const given = ticks.map(({ functionId, schedule, at, id, now }) => ({
        function_id: functionId,
        schedule,
        at: at.toISOString(),
        id,
        now: now.toISOString(),
      }));
      const [row] = await sql<{ now: Date; ticks: { function_id: string; made: boolean }[] }[]>`
        with given as (
          select g.*, f.tenant, f.name, f.version
          from jsonb_to_recordset(${sql.json(given)})
            as g (function_id uuid, schedule text, at timestamptz, id uuid, now timestamptz)
          join functions f on f.id = g.function_id and f.cron_schedule = g.schedule and f.enabled and f.deleted_at is null
          join tenants t on t.slug = f.tenant and t.status = 'active'
          where g.at <= now()
        ), first as (
          insert into schedules as s (function_id, tenant, schedule, last_tick)
          select function_id, tenant, schedule, at from given order by function_id
          on conflict (function_id) do update set schedule = excluded.schedule, last_tick = excluded.last_tick
            where s.last_tick < excluded.last_tick
          returning function_id
        ), made as (
          insert into events (id, tenant, function_id, trigger_type, executed_at, due_at, request_id, schedule, tick)
          select g.id, g.tenant, g.function_id, 'cron', g.now, now(), g.id::text, g.schedule, g.at
          from given g join first using (function_id)
          on conflict do nothing
          returning id, function_id
        ), recorded as (
          insert into executions (id, tenant, function_id, function_name, version, trigger_type, trigger_payload, status,
            duration_ms, cold_start, executed_at, request_id)
          select g.id, g.tenant, g.function_id, g.name, g.version, 'cron',
            json_build_object('schedule', g.schedule, 'scheduled_at', to_char(g.at at time zone 'UTC', ${ISO})),
            'pending', 0, false, g.now, g.id::text
          from given g join made using (id)
        )
        select now() as now,
          coalesce(json_agg(json_build_object('function_id', first.function_id, 'made', made.id is not null)), '[]') as ticks
        from first left join made using (function_id)`;
      const { now, ticks: done } = row ?? { now: new Date(), ticks: [] };
      const of = (made: boolean) => done.filter((tick) => tick.made === made).map((tick) => tick.function_id);
      const early = ticks.filter(({ at }) => at > now).map(({ functionId }) => functionId);
      return { made: of(true), skipped: of(false), early, now };
    },
  };
}

/** ISO 8601, as JavaScript writes it. */
const ISO = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
