import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../test/support/executions.js';
import { functionMeta, someone } from '../../test/support/functions.js';
import { run, startTestPostgres, type TestPostgres } from '../../test/support/postgres.js';
import type { SocketConnection } from './connection.js';
import {
  type ClaimedEvent,
  type ClaimOptions,
  type EventRequest,
  MAX_WAITING,
  MAX_WAITING_BYTES,
} from './events.js';
import { MAX_DEAD } from './events_ends.js';
import type { SettledEvent, SettledExecution } from './events_settle.js';
import { openStore, type Store } from './main.js';

const SECRET_KEYS = ['a key of 16 characters'];
const NODE = '01900000-0000-7000-8000-00000000000a';
const OTHER = '01900000-0000-7000-8000-00000000000b';
const LEASE_MS = 20_000;
const HOUR_MS = 3_600_000;

let postgres: TestPostgres;
let connection: SocketConnection;
let store: Store;

beforeAll(async () => {
  postgres = await startTestPostgres();
});

beforeEach(async () => {
  connection = await postgres.database();
  store = await openStore(connection, { secretKeys: SECRET_KEYS });
  await store.executions.createPartitions(new Date());
  return () => store.stop();
});

afterAll(async () => {
  await postgres?.stop();
});

async function tenant(slug: string, change: Record<string, unknown> = {}): Promise<string> {
  if (slug !== 'default')
    await run(
      connection,
      `insert into tenants (slug, display_name) values ('${slug}', '${slug}') on conflict do nothing`,
    );
  const settings = { ...functionMeta(), ...change };
  const prepared = { code: 'x', bundle: 'x', hash: 'x', imports: null };
  const added = { tenant: slug, name: `f${Math.random().toString(36).slice(2)}`, settings, prepared };
  return (await store.functions.insert({ ...added, source: 'api', actor: someone })).id;
}

const REQUEST: EventRequest = {
  method: 'POST',
  path: '/invoke?a=1',
  headers: ['x-own', 'mine ä'],
  body: Buffer.from([0, 255, 10]),
  caller: { role: 'authenticated', userId: 'u\0' },
  address: '127.0.0.1',
};

async function take(slug: string, functionId: string, ageMs = 0): Promise<string> {
  const at = new Date(Date.now() - ageMs);
  const id = uuidv7(at);
  expect(
    await store.events.take({ id, tenant: slug, functionId, at, requestId: 'r', request: REQUEST }),
  ).toBe('taken');
  await run(
    connection,
    `update events set due_at = '${at.toISOString()}', taken_at = '${at.toISOString()}' where id = '${id}'`,
  );
  return id;
}

function claim(change: Partial<ClaimOptions> = {}): Promise<ClaimedEvent[]> {
  return store.events.claim({
    node: NODE,
    room: 10,
    share: 10,
    running: new Map(),
    shares: new Map(),
    leaseMs: LEASE_MS,
    ...change,
  });
}

const DONE: SettledExecution = {
  status: 'success',
  version: 3,
  status_code: 200,
  duration_ms: 7,
  cpu_ms: 1,
  cold_start: true,
  result: 'well',
  logs: null,
  error_message: null,
  error_stack: null,
};

function settled(event: ClaimedEvent, change: Partial<SettledEvent> = {}): SettledEvent {
  const { id, executedAt, attempts } = event;
  return { id, executedAt, attempts, to: 'over', afterMs: 0, counts: true, execution: DONE, ...change };
}

async function rows(): Promise<Record<string, unknown>[]> {
  return await run(connection, 'select id, state, attempts, last_error from events order by id');
}

const ids = (events: ClaimedEvent[]) => events.map(({ id }) => id);

describe('an event', () => {
  it('is there with its execution, or neither is', async () => {
    const fn = await tenant('default');
    const id = await take('default', fn);
    expect(await store.executions.find('default', id)).toMatchObject({
      id,
      function_id: fn,
      status: 'pending',
      trigger_type: 'async',
      trigger_payload: { method: 'POST', path: '/invoke', bytes: 3 },
      completed_at: null,
      request_id: 'r',
    });
    await expect(
      take('default', fn).then(() =>
        store.events.take({
          id,
          tenant: 'default',
          functionId: fn,
          at: new Date(),
          requestId: 'r',
          request: REQUEST,
        }),
      ),
    ).rejects.toThrow();
    expect(await run(connection, 'select id from executions')).toHaveLength(2);
    const gone = {
      id: uuidv7(new Date()),
      tenant: 'default',
      functionId: NODE,
      at: new Date(),
      requestId: 'r',
    };
    expect(await store.events.take({ ...gone, request: REQUEST })).toBe('gone');
    expect(await run(connection, 'select id from executions')).toHaveLength(2);
  });

  it('comes back as it was taken, and its execution runs', async () => {
    const fn = await tenant('default');
    const id = await take('default', fn);
    const [event] = await claim();
    expect(event).toMatchObject({
      id,
      tenant: 'default',
      functionId: fn,
      trigger: 'async',
      attempts: 1,
      requestId: 'r',
      request: REQUEST,
      tick: null,
      fn: { keepsLogs: true },
    });
    expect((await store.executions.find('default', id))?.status).toBe('running');
  });

  it('cannot be opened with another secret key, and is claimed all the same', async () => {
    await take('default', await tenant('default'));
    const other = await openStore(connection, { secretKeys: ['another key of 16 characters'] });
    const [event] = await other.events.claim({
      node: NODE,
      room: 1,
      share: 1,
      running: new Map(),
      shares: new Map(),
      leaseMs: LEASE_MS,
    });
    expect(event?.request).toBeNull();
    await other.stop();
  });
});

describe('a claim', () => {
  it('takes what is due, the oldest first, and gives it to one node alone', async () => {
    const fn = await tenant('default');
    const [b, a] = [await take('default', fn, 1_000), await take('default', fn, 2_000)];
    const later = await take('default', fn);
    await run(connection, `update events set due_at = now() + interval '1 hour' where id = '${later}'`);
    const all = await Promise.all([claim({ room: 1 }), claim({ node: OTHER, room: 1 })]);
    expect(all.map((events) => events.length)).toEqual([1, 1]);
    expect(all.flatMap(ids).sort()).toEqual([a, b].sort());
    expect(await claim()).toEqual([]);
  });

  it('is fair between tenants: in turn, those with less running first, none beyond its share', async () => {
    const [many, few] = [await tenant('many'), await tenant('few')];
    for (let n = 0; n < 6; n++) await take('many', many, 10_000 - n);
    for (let n = 0; n < 2; n++) await take('few', few);
    const of = (events: ClaimedEvent[]) => events.map(({ tenant }) => tenant).sort();
    expect(of(await claim({ room: 3, running: new Map([['many', 1]]) }))).toEqual(['few', 'few', 'many']);
    expect(await claim({ share: 2, running: new Map([['many', 2]]) })).toEqual([]);
    const lowered = new Map([['many', 2]]);
    expect(await claim({ share: 4, shares: lowered, running: new Map([['many', 2]]) })).toEqual([]);
    expect(of(await claim({ share: 4, running: new Map([['many', 2]]) }))).toEqual(['many', 'many']);
  });

  it('takes nothing of a suspended tenant', async () => {
    await take('acme', await tenant('acme'));
    await run(connection, "update tenants set status = 'suspended' where slug = 'acme'");
    expect(await claim()).toEqual([]);
    expect((await store.events.counts()).due).toBe(0);
    await run(connection, "update tenants set status = 'active' where slug = 'acme'");
    expect(await claim()).toHaveLength(1);
  });

  it('says whose function was deleted meanwhile', async () => {
    const fn = await tenant('default');
    await take('default', fn);
    await run(connection, `update functions set deleted_at = now() where id = '${fn}'`);
    expect(await claim()).toMatchObject([{ fn: null }]);
  });

  it('takes over what a node has let go of, and leaves what is renewed', async () => {
    const fn = await tenant('default');
    const [kept, lost] = [await take('default', fn), await take('default', fn)];
    await claim();
    await run(connection, 'update events set leased_until = now()');
    await store.events.renew(NODE, [kept], LEASE_MS);
    const taken = await store.events.claimLost(OTHER, LEASE_MS);
    expect(taken).toMatchObject([{ id: lost, attempts: 1 }]);
    expect(await store.events.claimLost(OTHER, LEASE_MS)).toEqual([]);
    await run(connection, 'update events set leased_until = now()');
    await store.events.renew(NODE, [lost], LEASE_MS); // it is not this one's any more
    expect(ids(await store.events.claimLost(OTHER, LEASE_MS)).sort()).toEqual([kept, lost].sort());
  });
});

describe('what becomes of an event', () => {
  it('is in its execution when it is over, and it is no more', async () => {
    const id = await take('default', await tenant('default'));
    const [event] = await claim();
    if (event === undefined) throw new Error('nothing was claimed');
    expect(await store.events.settle(NODE, [settled(event)])).toEqual(new Set([id]));
    const { logs: _, ...outcome } = DONE;
    const execution = await store.executions.find('default', id);
    expect(execution).toMatchObject(outcome);
    expect(execution?.completed_at).toBeInstanceOf(Date);
    expect(await rows()).toEqual([]);
  });

  it('is no business of a node that had it before', async () => {
    const id = await take('default', await tenant('default'));
    const [first] = await claim();
    await run(connection, 'update events set leased_until = now()');
    const [second] = await store.events.claimLost(OTHER, LEASE_MS);
    if (first === undefined || second === undefined) throw new Error('nothing was claimed');
    expect(await store.events.settle(NODE, [settled(first)])).toEqual(new Set());
    expect((await store.executions.find('default', id))?.status).toBe('running');
    const again = settled(second, { to: 'waiting', execution: { ...DONE, status: 'pending' } });
    expect(await store.events.settle(OTHER, [again])).toEqual(new Set([id]));
    // The same node has begun it again: its own first attempt is not what is there now.
    const [third] = await claim();
    expect(third?.attempts).toBe(2);
    expect(await store.events.settle(NODE, [settled(first)])).toEqual(new Set());
  });

  it('is another attempt, which counts or does not, with what has come of it so far', async () => {
    const fn = await tenant('default');
    const [a, b] = [await take('default', fn), await take('default', fn)];
    const claimed = await claim();
    const failed: SettledExecution = {
      ...DONE,
      status: 'pending',
      status_code: 500,
      logs: 'one\0\ud800',
      error_message: 'broke\0',
    };
    const events = claimed.map((event) =>
      settled(event, { to: 'waiting', afterMs: HOUR_MS, counts: event.id === a, execution: failed }),
    );
    await store.events.settle(NODE, events);
    expect(await rows()).toEqual([
      { id: a, state: 'waiting', attempts: 1, last_error: 'broke' },
      { id: b, state: 'waiting', attempts: 0, last_error: 'broke' },
    ]);
    expect(await store.executions.find('default', a)).toMatchObject({
      status: 'pending',
      status_code: 500,
      logs: 'one\uFFFD',
      error_message: 'broke',
      completed_at: null,
    });
    await run(connection, 'update events set due_at = now()');
    for (const event of await claim())
      await store.events.settle(NODE, [settled(event, { execution: { ...DONE, logs: 'two' } })]);
    expect((await store.executions.find('default', a))?.logs).toBe('one\uFFFD\ntwo');
  });

  it('is that it is kept, dead, until its time is over', async () => {
    const id = await take('default', await tenant('default'));
    const [event] = await claim();
    if (event === undefined) throw new Error('nothing was claimed');
    const error: SettledExecution = { ...DONE, status: 'error', error_message: 'no' };
    await store.events.settle(NODE, [settled(event, { to: 'dead', execution: error })]);
    expect(await rows()).toEqual([{ id, state: 'dead', attempts: 1, last_error: 'no' }]);
    expect((await store.events.counts()).dead).toBe(1);
    await store.events.expire(new Date(0), new Date(Date.now() - HOUR_MS));
    expect(await rows()).toHaveLength(1);
    await store.events.expire(new Date(0), new Date(Date.now() + HOUR_MS));
    expect(await rows()).toEqual([]);
  });

  it('is that it is given up where it has waited for too long', async () => {
    const fn = await tenant('default');
    const [old, young] = [await take('default', fn, 2 * HOUR_MS), await take('default', fn)];
    await store.events.expire(new Date(Date.now() - HOUR_MS), new Date(0));
    expect(await rows()).toMatchObject([
      { id: old, state: 'dead' },
      { id: young, state: 'waiting' },
    ]);
    expect((await store.executions.find('default', old))?.status).toBe('cancelled');
    // What is made to wait again by hand has its time again.
    await run(connection, `update events set state = 'waiting', taken_at = now() where id = '${old}'`);
    await store.events.expire(new Date(Date.now() - HOUR_MS), new Date(0));
    expect(await rows()).toMatchObject([{ state: 'waiting' }, { state: 'waiting' }]);
    const again = (await claim()).find((event) => event.id === old);
    expect(again?.ageMs).toBeLessThan(HOUR_MS);
    await run(connection, "update events set state = 'waiting', leased_by = null");
    await run(connection, `update events set state = 'dead', died_at = now() where id = '${old}'`);
    // Of a tick nothing is left that would keep the next one out.
    await run(connection, `update events set trigger_type = 'cron' where id = '${young}'`);
    await store.events.expire(new Date(Date.now() + HOUR_MS), new Date(0));
    expect(await rows()).toMatchObject([{ id: old, state: 'dead' }]);
    expect((await store.executions.find('default', young))?.status).toBe('cancelled');
  });
});

describe('what a tenant may have of the database', () => {
  /** So many rows that are there already, a minute old, with bodies of so many bytes. */
  async function fill(
    slug: string,
    functionId: string,
    count: number,
    change: { state?: string; bytes?: number } = {},
  ) {
    const { state = 'waiting', bytes = 1 } = change;
    await run(
      connection,
      `with e as (insert into events (id, tenant, function_id, trigger_type, executed_at, taken_at, due_at, request_id, body, state,
         died_at)
       select gen_random_uuid(), '${slug}', '${functionId}', 'async', date_trunc('ms', now()) - interval '1 minute', now() - interval '1 minute', now(),
         'r', convert_to(repeat('a', ${bytes}), 'UTF8'), '${state}',
         case when '${state}' = 'dead' then now() - n * interval '1 second' end
       from generate_series(1, ${count}) n returning *)
       insert into executions (id, tenant, function_id, function_name, version, trigger_type, status, duration_ms, cold_start,
         executed_at, request_id)
       select id, tenant, function_id, 'f', 1, 'async', 'pending', 0, false, executed_at, 'r' from e`,
    );
  }

  function taken(slug: string, functionId: string) {
    const at = new Date();
    return store.events.take({
      id: uuidv7(at),
      tenant: slug,
      functionId,
      at,
      requestId: 'r',
      request: REQUEST,
    });
  }

  it('is 10,000 calls that wait, and 256 MiB of them', async () => {
    const [many, large] = [await tenant('acme'), await tenant('beta')];
    await fill('acme', many, MAX_WAITING - 1);
    await fill('beta', large, 256, { bytes: MAX_WAITING_BYTES / 256 - 100 });
    expect(await taken('acme', many)).toBe('taken');
    expect(await taken('acme', many)).toBe('full');
    expect(await taken('beta', large)).toBe('taken');
    await fill('beta', large, 1, { bytes: 25_600 });
    expect(await taken('beta', large)).toBe('full');
    // Nobody else is refused for it, and there is room again for them when there is less.
    expect(await taken('default', await tenant('default'))).toBe('taken');
    await run(
      connection,
      "delete from events where id in (select id from events where tenant = 'beta' limit 1)",
    );
    expect(await taken('beta', large)).toBe('taken');
  });

  it('is 1,000 calls that were given up, the newest', async () => {
    const [fn, other] = [await tenant('acme'), await tenant('beta')];
    await fill('acme', fn, MAX_DEAD + 5, { state: 'dead' });
    await fill('beta', other, 3, { state: 'dead' });
    const id = await take('acme', fn);
    const [event] = await claim();
    if (event === undefined) throw new Error('nothing was claimed');
    const last = "select died_at from events where tenant = 'acme' order by died_at limit 1";
    const [before] = await run(connection, last);
    await store.events.settle(NODE, [
      settled(event, { to: 'dead', execution: { ...DONE, status: 'error' } }),
    ]);
    expect((await store.events.counts()).dead).toBe(MAX_DEAD + 3);
    expect(await run(connection, `select state from events where id = '${id}'`)).toEqual([{ state: 'dead' }]);
    const [after] = await run(connection, last);
    expect(Number(after?.died_at) - Number(before?.died_at)).toBe(6_000);
  });

  it('is nothing once it is gone, whatever was taken while it was deleted', async () => {
    const fn = await tenant('acme');
    await fill('acme', fn, 2);
    await run(connection, "update events set tenant = 'gone'");
    await take('acme', fn);
    await store.events.expire(new Date(0), new Date(0));
    expect(await run(connection, 'select tenant from events')).toEqual([{ tenant: 'acme' }]);
  });

  it('is given up in time, however much it is', async () => {
    const fn = await tenant('default');
    await fill('default', fn, 2_500);
    await store.events.expire(new Date(Date.now() - 1_000), new Date(0));
    expect(await store.events.counts()).toEqual({ due: 0, lag: 0, dead: MAX_DEAD });
    const statuses = await run(
      connection,
      'select status, count(*)::int as n from executions group by status',
    );
    expect(statuses).toEqual([{ status: 'cancelled', n: 2_500 }]);
  });

  it('is found in the order of turns, whoever else has how much', async () => {
    const slugs = Array.from({ length: 30 }, (_, n) => `t${String(n).padStart(2, '0')}`);
    for (const [n, slug] of slugs.entries()) await take(slug, await tenant(slug), 60_000 + n * 1_000);
    await fill('t05', await tenant('t05'), 50);
    const running = new Map(slugs.slice(12).map((slug) => [slug, 1]));
    // The oldest of those that have nothing running.
    const claimed = await claim({ room: 2, running });
    expect(claimed.map((event) => event.tenant)).toEqual(expect.arrayContaining(['t11', 't10']));
  });
});

describe('what is counted', () => {
  it('is what is due, how long the oldest has been, and what is dead', async () => {
    const fn = await tenant('default');
    expect(await store.events.counts()).toEqual({ due: 0, lag: 0, dead: 0 });
    await take('default', fn, 5_000);
    await take('default', fn);
    const { due, lag } = await store.events.counts();
    expect(due).toBe(2);
    expect(lag).toBeGreaterThan(4.9);
    expect(lag).toBeLessThan(60);
    await store.events.postpone(fn, HOUR_MS);
    expect(await store.events.counts()).toEqual({ due: 0, lag: 0, dead: 0 });
  });
});

describe('a tick', () => {
  const EVERY = '* * * * *';
  const NONE = { made: [], skipped: [], early: [] };
  const at = new Date('2026-01-01T00:01:00Z');
  const tick = (functionId: string, change: Record<string, unknown> = {}) => {
    const now = new Date();
    return { functionId, schedule: EVERY, at, id: uuidv7(now), now, ...change };
  };

  it('is made once, and none before it is made after it', async () => {
    const fn = await tenant('default', { cron_schedule: EVERY });
    const made = await Promise.all([1, 2, 3].map(() => store.schedules.tick([tick(fn)])));
    expect(made.flatMap(({ made }) => made)).toEqual([fn]);
    expect(made.flatMap(({ skipped }) => skipped)).toEqual([]);
    const [event] = await claim();
    expect(event).toMatchObject({ trigger: 'cron', request: null, tick: { schedule: EVERY, at } });
    if (event !== undefined) await store.events.settle(NODE, [settled(event)]);
    const before = new Date(at.getTime() - 60_000);
    expect(await store.schedules.tick([tick(fn)])).toMatchObject(NONE);
    expect(await store.schedules.tick([tick(fn, { at: before })])).toMatchObject(NONE);
    expect(await run(connection, 'select id from executions')).toHaveLength(1);
  });

  it('is not made in advance by a node whose clock is ahead, which would keep others from making any', async () => {
    const fn = await tenant('default', { cron_schedule: EVERY });
    const early = tick(fn, { at: new Date(Date.now() + HOUR_MS) });
    expect(await store.schedules.tick([early])).toMatchObject({ ...NONE, early: [fn] });
    expect(await store.schedules.tick([tick(fn)])).toMatchObject({ ...NONE, made: [fn] });
  });

  it('is left out while the one before it is not over', async () => {
    const fn = await tenant('default', { cron_schedule: EVERY });
    await store.schedules.tick([tick(fn)]);
    await claim();
    const next = tick(fn, { at: new Date(at.getTime() + 60_000) });
    expect(await store.schedules.tick([next])).toMatchObject({ ...NONE, skipped: [fn] });
    expect(await run(connection, 'select id from executions')).toHaveLength(1);
  });

  it('is not made of another schedule, nor of a function that is disabled, or whose tenant is suspended', async () => {
    const fns = [
      await tenant('default', { cron_schedule: '0 * * * *' }),
      await tenant('default', { cron_schedule: EVERY, enabled: false }),
      await tenant('acme', { cron_schedule: EVERY }),
    ];
    await run(connection, "update tenants set status = 'suspended' where slug = 'acme'");
    expect(await store.schedules.tick(fns.map((fn) => tick(fn)))).toMatchObject(NONE);
  });

  it('counts from when its schedule began', async () => {
    const fn = await tenant('default', { cron_schedule: EVERY });
    const later = new Date(at.getTime() + 1);
    const began = { functionId: fn, tenant: 'default', schedule: EVERY };
    await store.schedules.begin([{ ...began, since: later }]);
    await store.schedules.begin([{ ...began, since: new Date(0) }]);
    const { schedules } = await store.schedules.all();
    expect(schedules).toEqual([{ function_id: fn, schedule: EVERY, last_tick: later }]);
    expect(await store.schedules.tick([tick(fn)])).toMatchObject(NONE);
  });
});
