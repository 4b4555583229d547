/** Schedules: ticks happen at their times, once for the cluster, and only where they should. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SocketConnection } from '../../src/store/connection.js';
import { type DatabaseUrl, databaseUrl } from '../support/database_url.js';
import { endOf, eventRows, type ReadExecution, takenBy } from '../support/due.js';
import { type Gate, startGate } from '../support/gate.js';
import { startNode, type TestNode, until } from '../support/node.js';
import { run, startTestPostgres, type TestPostgres } from '../support/postgres.js';

const EVERY_SECOND = '* * * * * *';
const NEVER_SOON = '0 0 29 2 *';
const SECRET_KEY = 'what both nodes seal secrets with';
const FAILS = "export default () => { throw new Error('it broke'); };";

let postgres: TestPostgres;
let database: SocketConnection;
let address: DatabaseUrl;
let gate: Gate;
let nodes: TestNode[];

function node(index = 0): TestNode {
  const found = nodes[index];
  if (found === undefined) throw new Error('there is no such node');
  return found;
}

beforeAll(async () => {
  [postgres, gate] = await Promise.all([startTestPostgres(), startGate()]);
  database = await postgres.database();
  address = await databaseUrl(database);
  const env = { DATABASE_URL: address.url, HEARTH_SECRET_KEY: SECRET_KEY, HEARTH_ROUTERS: '1' };
  nodes = await Promise.all([startNode(env), startNode(env)]);
  await node().deploy('clock', 'export default () => 1;', { cron_schedule: EVERY_SECOND });
  await until(async () => (await executions('clock')).length > 0);
});

afterAll(async () => {
  gate?.open();
  await Promise.all((nodes ?? []).map((each) => each.remove()));
  await address?.stop();
  await postgres?.stop();
  await gate?.stop();
});

async function executions(name: string, query = ''): Promise<ReadExecution[]> {
  const answer = await node().api(`/api/v1/functions/${name}/executions?limit=200${query}`);
  return (await answer.json()) as ReadExecution[];
}

function scheduledAt({ trigger_payload }: ReadExecution): string {
  return String(trigger_payload?.scheduled_at);
}

async function change(name: string, settings: Record<string, unknown>) {
  const json = settings;
  expect((await node().api(`/api/v1/functions/${name}`, { method: 'PATCH', json })).status).toBe(200);
}

/** Two ticks of a function that goes on have come: those of any other would have, too. */
async function ticksPass() {
  const last = (await executions('clock'))[0]?.id;
  await until(async () => (await executions('clock')).findIndex(({ id }) => id === last) >= 2);
}

describe('two nodes on one database', () => {
  it('make each tick once, whichever of them is first', async () => {
    await node(0).deploy('ticks', 'export default () => 1;', { cron_schedule: EVERY_SECOND });
    await until(async () => (await executions('ticks', '&status=success')).length >= 4);
    const made = await executions('ticks');
    expect((await node().api('/api/v1/functions/ticks', { method: 'DELETE' })).status).toBe(204);
    const times = made.map(scheduledAt).sort();
    expect(new Set(times).size).toBe(times.length);
    for (const time of times) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);
    for (const { trigger_type, trigger_payload } of made) {
      expect(trigger_type).toBe('cron');
      expect(trigger_payload).toMatchObject({ schedule: EVERY_SECOND });
    }
  });

  it('stop with the schedule: when it is taken away, and while the function is disabled', async () => {
    const { id } = await node(1).deploy('stops', 'export default () => 1;', { cron_schedule: EVERY_SECOND });
    await until(async () => (await executions('stops')).length > 0);
    await change('stops', { cron_schedule: null });
    const before = (await executions('stops')).length;
    await ticksPass();
    expect(await executions('stops')).toHaveLength(before);
    await change('stops', { cron_schedule: EVERY_SECOND, enabled: false });
    await ticksPass();
    expect(await executions('stops')).toHaveLength(before);
    await change('stops', { enabled: true });
    await until(async () => (await executions('stops')).length > before);
    await node().api('/api/v1/functions/stops', { method: 'DELETE' });
    expect(await run(database, `select schedule from schedules where function_id = '${id}'`)).toEqual([]);
  });

  it('make each asynchronous call once, whichever of them took it', async () => {
    gate.open();
    const come = gate.arrived.length;
    await node(0).deployFile('waits_at_gate.js', {}, 'gated');
    // The other node hears of it within a second.
    await until(async () => (await node(1).call('gated')).status === 200);
    const ids = await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        takenBy(node(n % 2), 'gated', { headers: { 'x-gate': gate.url, 'x-call': `${n}` } }),
      ),
    );
    for (const id of ids) expect((await endOf(node(), id)).status).toBe('success');
    const calls = gate.arrived.slice(come).map(({ call }) => Number(call));
    expect(calls.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => n));
  });

  it('take over what a node had that is gone', async () => {
    const answer = await node(1).deploy('elsewhere', FAILS, { cron_schedule: NEVER_SOON });
    const id = '01900000-0000-7000-8000-0000000000aa'.replace(/^.{13}/, stamp(Date.now()));
    await run(
      database,
      `with e as (insert into events (id, tenant, function_id, trigger_type, executed_at, state, due_at, attempts, leased_by,
          leased_until, request_id, schedule, tick)
        values ('${id}', 'default', '${answer.id}', 'cron', date_trunc('ms', now()), 'running', now(), 1, gen_random_uuid(),
          now(), 'r', '${NEVER_SOON}', now()) returning *)
      insert into executions (id, tenant, function_id, function_name, version, trigger_type, status, duration_ms, cold_start,
        executed_at, request_id)
      select id, tenant, function_id, 'elsewhere', 1, 'cron', 'running', 0, false, executed_at, 'r' from e`,
    );
    // The attempt that was lost is one, and the one that fails another: a tick that fails is not made again.
    expect(await endOf(node(), id)).toMatchObject({ status: 'error', error_message: 'it broke' });
    expect(await eventRows(database, id)).toEqual([]);
  });
});

describe('a tick', () => {
  it('tells its function what it is, with the rights of an anon key', async () => {
    await node().deploy(
      'told',
      `export default async (request) => Response.json({
        method: request.method, url: request.url, trigger: request.headers.get('x-execution-trigger'),
        body: await request.json(), token: JSON.parse(atob(Deno.env.get('HEARTH_TOKEN').split('.')[1])).role });`,
      { cron_schedule: EVERY_SECOND },
    );
    await until(async () => (await executions('told', '&status=success')).length > 0);
    await change('told', { cron_schedule: null });
    const [tick] = await executions('told', '&status=success');
    expect(JSON.parse(tick?.result ?? '')).toEqual({
      method: 'POST',
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/functions\/v1\/told$/),
      trigger: 'cron',
      body: { schedule: EVERY_SECOND, scheduled_at: tick === undefined ? '' : scheduledAt(tick) },
      token: 'anon',
    });
  });

  it('is left out while the one before it runs', async () => {
    gate.close();
    const come = gate.arrived.length;
    const gated = `export default async () => { await fetch('${gate.url}?call=tick'); return 'done'; };`;
    await node().deploy('slow', gated, { cron_schedule: EVERY_SECOND });
    await until(() => gate.arrived.length > come);
    await ticksPass();
    expect(gate.arrived.length).toBe(come + 1);
    expect(await executions('slow')).toHaveLength(1);
    gate.open();
    await until(async () => (await executions('slow', '&status=success')).length >= 2);
    await node().api('/api/v1/functions/slow', { method: 'DELETE' });
  });

  it('is an execution that failed where its function fails, and nothing more', async () => {
    await node().deploy('breaks', FAILS, { cron_schedule: EVERY_SECOND });
    await until(async () => (await executions('breaks', '&status=error')).length >= 2);
    await node().api('/api/v1/functions/breaks', { method: 'DELETE' });
    expect((await eventRows(database)).filter(({ state }) => state === 'dead')).toEqual([]);
  });

  it('does not happen in a suspended tenant', async () => {
    const admin = { key: 'admin' } as const;
    const made = { method: 'POST', ...admin, json: { slug: 'acme' } };
    expect((await node().api('/api/v1/admin/tenants', made)).status).toBe(201);
    const deployed = await node().api('/t/acme/api/v1/functions', {
      ...admin,
      method: 'POST',
      json: { name: 'theirs', code: 'export default () => 1;', cron_schedule: EVERY_SECOND },
    });
    expect(deployed.status).toBe(201);
    const theirs = async () => {
      const rows = await run(database, "select count(*)::int as n from executions where tenant = 'acme'");
      return Number(rows[0]?.n);
    };
    await until(async () => (await theirs()) > 0);
    const status = (to: string) =>
      node().api('/api/v1/admin/tenants/acme', { method: 'PATCH', ...admin, json: { status: to } });
    expect((await status('suspended')).status).toBe(200);
    const before = await theirs();
    await ticksPass();
    expect(await theirs()).toBe(before);
    expect((await status('active')).status).toBe(200);
    await until(async () => (await theirs()) > before);
    // Nothing of what was missed meanwhile is made up for.
    const rows = await run(
      database,
      "select count(distinct trigger_payload->>'scheduled_at')::int as n, count(*)::int as all from executions where tenant = 'acme'",
    );
    expect(rows[0]?.n).toBe(rows[0]?.all);
    expect((await node().api('/api/v1/admin/tenants/acme', { method: 'DELETE', ...admin })).ok).toBe(true);
    expect(await run(database, "select id::text from events where tenant = 'acme'")).toEqual([]);
  });
});

function stamp(time: number): string {
  const hex = time.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
