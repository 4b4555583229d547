/**
 * Due work: calls that were taken to be made later, and ticks of schedules. Each is a row in `events` with its execution
 * beside it, claimed by one node at a time under a lease, and gone once it is over.
 */
import { SealError, type Sealer } from '../sealing.js';
import type { Queries, Sql } from './connection.js';
import { expireEvents } from './events_ends.js';
import { type SettledEvent, settleEvents } from './events_settle.js';
import type { DueTrigger } from './types.js';

/** Who made a request, as far as its function may know. */
export interface EventCaller {
  role: 'anon' | 'authenticated' | 'service_role' | 'admin';
  userId?: string;
  userEmail?: string;
}

/** A request that is made later. */
export interface EventRequest {
  method: string;
  /** Path and query as the client sent them. */
  path: string;
  /** Name, value, name, value …; `content-length` is the body's. */
  headers: string[];
  body: Buffer;
  /** Null: nobody in particular. */
  caller: EventCaller | null;
  /** The client's. */
  address: string;
}

export interface NewEvent {
  /** A UUIDv7: the execution's as well. */
  id: string;
  tenant: string;
  functionId: string;
  /** In whole ms, by the clock of whoever takes it; that it is due goes by the database's. */
  at: Date;
  requestId: string;
  request: EventRequest;
}

/** What a node has taken on, under a lease. */
export interface ClaimedEvent {
  id: string;
  tenant: string;
  functionId: string;
  trigger: DueTrigger;
  executedAt: Date;
  /** ms since it was taken, or made to wait again by hand, by the database's clock. */
  ageMs: number;
  /** This one among them. */
  attempts: number;
  requestId: string;
  /** Null for a tick, and where it was sealed with a key that is not known here. */
  request: EventRequest | null;
  /** Of a tick. */
  tick: { schedule: string; at: Date } | null;
  /** Null: it was deleted. */
  fn: { name: string; keepsLogs: boolean } | null;
}

export interface ClaimOptions {
  node: string;
  /** Events at most. */
  room: number;
  /** Events that one tenant may have at this node at once. */
  share: number;
  /** Of tenants that may have less than that. */
  shares: ReadonlyMap<string, number>;
  /** How many each tenant has here now. */
  running: ReadonlyMap<string, number>;
  leaseMs: number;
}

/** Of the whole cluster. */
export interface EventCounts {
  /** That wait though their time has come; counted up to 100,000. */
  due: number;
  /** Seconds that the oldest of them has been due. */
  lag: number;
  dead: number;
}

export interface Events {
  /**
   * Resolves when it is committed. `gone`: there is no such function any more; `full`: as much of the tenant's waits as
   * may.
   */
  take(event: NewEvent): Promise<'taken' | 'full' | 'gone'>;
  /** Those of tenants with the least running come first, the oldest of each. Suspended tenants have none. */
  claim(options: ClaimOptions): Promise<ClaimedEvent[]>;
  /** Takes over what some node had and has not renewed its lease of. Without their requests: they are not begun from there. */
  claimLost(node: string, leaseMs: number): Promise<ClaimedEvent[]>;
  renew(node: string, ids: readonly string[], leaseMs: number): Promise<void>;
  /** @returns the ids of those that were still this node's to settle. */
  settle(node: string, events: readonly SettledEvent[]): Promise<Set<string>>;
  /** Everything of the function that is due waits so long. */
  postpone(functionId: string, ms: number): Promise<void>;
  counts(): Promise<EventCounts>;
  /** Ends what waits since before that, and forgets the dead of `deadBefore`, and of each tenant all but the newest. */
  expire(waitingSince: Date, deadBefore: Date): Promise<void>;
}

/** Events of one tenant that may wait at once, and the bytes of their bodies and headers. */
export const MAX_WAITING = 10_000;
export const MAX_WAITING_BYTES = 256 * 1024 * 1024;
const MAX_COUNTED = 100_000;
/** Tenants for each event of a claim that it looks at: one would do, but for what other nodes are claiming just then. */
const TURNS = 4;
/** Lost ones that are taken over at once. */
const LOST_AT_ONCE = 100;

export function createEvents(sql: Sql, sealer: Sealer): Events {
  return {
    take: ({ id, tenant, functionId, at, requestId, request }) =>
      sql.asTenant(tenant, async (sql) => {
        const { method, path: target, headers, body, caller, address } = request;
        const sealed = sealer.seal(
          JSON.stringify({ headers, caller, address, path: target }),
          placeOf(tenant, id),
        );
        // Its query may hold what is for the function alone.
        const [path = ''] = target.split('?', 1);
        const payload = sql.json({ method, path, bytes: body.length });
        const [row] = await sql<{ taken: boolean; there: boolean }[]>`
          with f as (
            select id, name, version from functions where id = ${functionId} and tenant = ${tenant} and deleted_at is null
          ), backlog as (
            select count(*) as events, coalesce(sum(bytes), 0) as bytes from (
              select bytes from events where tenant = ${tenant} and state = 'waiting' limit ${MAX_WAITING}) w
          ), taken as (
            insert into events (id, tenant, function_id, trigger_type, executed_at, due_at, request_id, method, path, sealed, body)
            select ${id}::uuid, ${tenant}, f.id, 'async', ${at}::timestamptz, now(), ${requestId}, ${method}, ${path},
              ${sealed}, ${body}::bytea
            from f, backlog b
            where b.events < ${MAX_WAITING} and b.bytes + ${sealed.length + body.length} <= ${MAX_WAITING_BYTES}
            returning id
          ), recorded as (
            insert into executions (id, tenant, function_id, function_name, version, trigger_type, trigger_payload, status,
              duration_ms, cold_start, executed_at, request_id)
            select taken.id, ${tenant}, f.id, f.name, f.version, 'async', ${payload}, 'pending', 0, false,
              ${at}::timestamptz, ${requestId}
            from taken, f
          )
          select exists (select from taken) as taken, exists (select from f) as there`;
        if (row?.taken === true) return 'taken';
        return row?.there === true ? 'full' : 'gone';
      }),

    async claim({ node, room, share, shares, running, leaseMs }) {
      const here = [...new Set([...running.keys(), ...shares.keys()])].map((tenant) => ({
        tenant,
        n: running.get(tenant) ?? 0,
        share: shares.get(tenant) ?? share,
      }));
      const rows = await sql<EventRow[]>`
        with recursive waiting as (
          (select tenant from events where state = 'waiting' order by tenant limit 1)
          union all
          select (
            select e.tenant from events e where e.state = 'waiting' and e.tenant > w.tenant order by e.tenant limit 1)
          from waiting w where w.tenant is not null
        ), turns as materialized (
          select w.tenant, coalesce(h.n, 0) as n, coalesce(h.share, ${share}) as share
          from waiting w
          join tenants t on t.slug = w.tenant and t.status = 'active'
          left join jsonb_to_recordset(${sql.json(here)}) as h (tenant text, n int, share int)
            on h.tenant = w.tenant
          cross join lateral (
            select e.due_at from events e
            where e.state = 'waiting' and e.tenant = w.tenant and e.due_at <= now()
            order by e.due_at limit 1
          ) oldest
          where coalesce(h.n, 0) < coalesce(h.share, ${share})
          order by n, oldest.due_at limit ${TURNS * room}
        ), candidates as materialized (
          select c.id, c.due_at, row_number() over (partition by w.tenant order by c.due_at) + w.n as place
          from turns w
          cross join lateral (
            select e.id, e.due_at from events e
            where e.state = 'waiting' and e.tenant = w.tenant and e.due_at <= now()
            order by e.due_at
            limit least(${room}, w.share - w.n)
            for update skip locked
          ) c
        ), claimed as (
          update events set state = 'running', attempts = attempts + 1, leased_by = ${node},
            leased_until = now() + ${leaseMs} * interval '1 millisecond'
          where id in (select id from candidates order by place, due_at limit ${room})
          returning *
        ), shown as (
          update executions x set status = 'running' from claimed c
          where x.id = c.id and x.executed_at = c.executed_at
        )
        ${withFunctions(sql, sql`c.sealed, c.body`)}`;
      return rows.map((row) => claimedOf(sealer, row));
    },

    async claimLost(node, leaseMs) {
      const rows = await sql<EventRow[]>`
        with claimed as (
          update events set leased_by = ${node}, leased_until = now() + ${leaseMs} * interval '1 millisecond'
          where id in (
            select id from events where state = 'running' and leased_until < now()
            order by leased_until limit ${LOST_AT_ONCE} for update skip locked)
          returning *
        )
        ${withFunctions(sql, sql`null::text as sealed, null::bytea as body`)}`;
      return rows.map((row) => claimedOf(sealer, row));
    },

    async renew(node, ids, leaseMs) {
      if (ids.length === 0) return;
      await sql`
        update events set leased_until = now() + ${leaseMs} * interval '1 millisecond'
        where id in ${sql(ids)} and leased_by = ${node} and state = 'running'`;
    },

    settle: (node, events) => settleEvents(sql, node, events),

    async postpone(functionId, ms) {
      await sql`
        update events set due_at = now() + ${ms} * interval '1 millisecond'
        where function_id = ${functionId} and state = 'waiting' and due_at <= now()`;
    },

    async counts() {
      const [row] = await sql<EventCounts[]>`
        select count(*)::int as due, coalesce(extract(epoch from now() - min(due_at)), 0)::float8 as lag,
          (select count(*)::int from (select from events where state = 'dead' limit ${MAX_COUNTED}) d) as dead
        from (
          select e.due_at from events e join tenants t on t.slug = e.tenant and t.status = 'active'
          where e.state = 'waiting' and e.due_at <= now() order by e.due_at limit ${MAX_COUNTED}) w`;
      return row ?? { due: 0, lag: 0, dead: 0 };
    },

    expire: (waitingSince, deadBefore) => expireEvents(sql, waitingSince, deadBefore),
  };
}

interface EventRow {
  id: string;
  tenant: string;
  function_id: string;
  trigger_type: DueTrigger;
  executed_at: Date;
  age_ms: number;
  attempts: number;
  request_id: string;
  method: string | null;
  sealed: string | null;
  body: Buffer | null;
  schedule: string | null;
  tick: Date | null;
  name: string | null;
  keeps_logs: boolean | null;
}

/** @param sent what is only wanted where the call is going to be made. */
function withFunctions(sql: Queries, sent: ReturnType<Queries>) {
  return sql`
    select c.id, c.tenant, c.function_id, c.trigger_type, c.executed_at,
      extract(epoch from now() - c.taken_at)::float8 * 1000 as age_ms, c.attempts, c.request_id, c.method,
      ${sent}, c.schedule, c.tick, f.name, not f.disable_execution_logs as keeps_logs
    from claimed c left join functions f on f.id = c.function_id and f.deleted_at is null`;
}

function claimedOf(sealer: Sealer, row: EventRow): ClaimedEvent {
  const { id, tenant, schedule, tick, name, keeps_logs } = row;
  return {
    id,
    tenant,
    functionId: row.function_id,
    trigger: row.trigger_type,
    executedAt: row.executed_at,
    ageMs: row.age_ms,
    attempts: row.attempts,
    requestId: row.request_id,
    request: requestOf(sealer, row),
    tick: schedule === null || tick === null ? null : { schedule, at: tick },
    fn: name === null || keeps_logs === null ? null : { name, keepsLogs: keeps_logs },
  };
}

function requestOf(sealer: Sealer, { id, tenant, method, sealed, body }: EventRow): EventRequest | null {
  if (method === null || sealed === null || body === null) return null;
  try {
    const opened: Omit<EventRequest, 'method' | 'body'> = JSON.parse(
      sealer.open(sealed, placeOf(tenant, id)),
    );
    return { method, body, ...opened };
  } catch (error) {
    // The key was replaced, and the one before is not known here.
    if (error instanceof SealError) return null;
    throw error;
  }
}

function placeOf(tenant: string, id: string): string {
  return `event ${tenant}/${id}`;
}
