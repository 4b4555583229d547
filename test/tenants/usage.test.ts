/** What tenants' functions use, as the API tells it: exact over routers, restarts and a database that was away. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { z } from 'zod';
import { ExecutionRecord } from '../../src/router/api/schemas.js';
import { UsageAnswer } from '../../src/router/api/usage.js';
import { exactRequest } from '../support/exact_request.js';
import { until } from '../support/node.js';
import { routersOf } from '../support/processes.js';
import { startTenantNode, type TenantNode, type TestTenant } from '../support/tenants.js';

type Row = z.output<typeof UsageAnswer>['usage'][number];

const BODY = 'x'.repeat(1000);
const ANSWERS = `export default () => '${BODY}';`;
const LOGS = `export default () => { console.log('a line'); return '${BODY}'; };`;

let running: TenantNode;
let tenant: TestTenant;

beforeAll(async () => {
  running = await startTenantNode({ HEARTH_ROUTERS: '2' });
  tenant = await running.tenant('busy');
  await tenant.deploy('answers', ANSWERS, { memory_limit_mb: 64 });
});
afterAll(() => running?.stop());

async function usage(query = '', of = tenant): Promise<Row[]> {
  const answer = await of.api(`/api/v1/usage${query}`);
  expect(answer.status).toBe(200);
  return UsageAnswer.parse(await answer.json()).usage;
}

async function total(query = ''): Promise<Row> {
  const [row, ...more] = await usage(query);
  expect(more).toEqual([]);
  if (row === undefined) throw new Error('there is no sum');
  return row;
}

/** Each on a connection of its own, so that every router gets some. @returns how many were answered with 200. */
async function calls(name: string, count: number): Promise<number> {
  const headers = { authorization: `Bearer ${tenant.anon}` };
  let answered = 0;
  for (let left = count; left > 0; left -= 10) {
    const some = Array.from({ length: Math.min(10, left) }, () =>
      exactRequest(running.node.url, { path: `/t/busy/functions/v1/${name}`, headers }),
    );
    for (const { status } of await Promise.all(some)) if (status === 200) answered++;
  }
  return answered;
}

/** Asked on connections of their own, so that each router is: whether all of them serve. */
async function areReady(): Promise<boolean> {
  const asked = Array.from({ length: 6 }, () => exactRequest(running.node.url, { path: '/readyz' }));
  const answers = await Promise.all(asked).catch(() => []); // one was on its way to the router that is gone
  return answers.length > 0 && answers.every(({ status }) => status === 200);
}

describe('usage', () => {
  it('counts calls, bytes, cold starts and the memory that processes have, and nothing that was refused', async () => {
    expect(await total()).toMatchObject({ calls: 0, egress_bytes: 0, cold_starts: 0 });
    expect(await calls('answers', 30)).toBe(30);
    const none = await tenant.api('/functions/v1/answers', { key: null });
    const missing = await tenant.call('missing');
    expect([none.status, missing.status]).toEqual([401, 404]);
    const row = await total();
    expect(row).toMatchObject({ calls: 30, egress_bytes: 30 * BODY.length });
    // All calls that waited for the first process count as cold; those after them do not.
    expect(row.cold_starts).toBeGreaterThanOrEqual(1);
    expect(row.cold_starts).toBeLessThanOrEqual(10);
    await until(async () => (await total()).mib_seconds > row.mib_seconds);
    expect(row.mib_seconds).toBeGreaterThan(0);
  });

  it('has every call’s CPU once, whoever writes its execution', async () => {
    await tenant.deploy('logs', LOGS);
    await tenant.deploy('keeps', ANSWERS);
    const secret = { method: 'PUT', json: { value: 'a secret value' } };
    expect((await tenant.api('/api/v1/secrets/A?function=keeps', secret)).status).toBe(201);
    await calls('logs', 20);
    await calls('keeps', 20);
    const byFunction = await usage('?group=function');
    for (const name of ['answers', 'logs', 'keeps']) {
      const answer = await tenant.api(`/api/v1/functions/${name}/executions?limit=200`);
      const executions = ExecutionRecord.array().parse(await answer.json());
      const cpu = executions.reduce((sum, { cpu_ms }) => sum + (cpu_ms ?? 0), 0);
      expect(cpu).toBeGreaterThan(0);
      const row = byFunction.find((each) => each.function_name === name);
      expect(row?.calls).toBe(executions.length);
      expect(row?.cpu_ms).toBeCloseTo(cpu, 6);
    }
  });

  it('counts functions without logs, and those that fail', async () => {
    await tenant.deploy('silent', ANSWERS, { disable_execution_logs: true });
    await tenant.deploy('fails', "export default () => { throw new Error('no'); };");
    await calls('silent', 3);
    expect(await calls('fails', 2)).toBe(0);
    expect(await total('?function=silent')).toMatchObject({ calls: 3, egress_bytes: 3 * BODY.length });
    expect(await total('?function=fails')).toMatchObject({ calls: 2, egress_bytes: 0 });
  });

  it('counts what goes out over a WebSocket', async () => {
    await tenant.deploy(
      'socket',
      `Deno.serve((request) => {
        const { socket, response } = Deno.upgradeWebSocket(request);
        socket.onopen = () => { socket.send('${BODY}'); socket.close(); };
        return response;
      });`,
      { allow_unauthenticated: true },
    );
    const socket = new WebSocket(`${running.node.url.replace('http', 'ws')}/t/busy/functions/v1/socket`);
    await new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.once('close', resolve);
    });
    await until(async () => (await total('?function=socket')).calls === 1);
    expect((await total('?function=socket')).egress_bytes).toBeGreaterThan(BODY.length);
  });

  it('is grouped by hour, by day and by function, in bounded answers', async () => {
    const id = String((await running.sql("select id from functions where name = 'answers'"))[0]?.id);
    const early = ['2026-01-01T00:00Z', '2026-01-01T23:00Z', '2026-01-02T00:00Z'];
    for (const hour of early)
      await running.sql(
        `insert into usage_hours (tenant, function_id, hour, function_name, calls) values ('busy', '${id}', '${hour}', 'answers', 5)`,
      );
    const range = 'from=2026-01-01T00:10:00Z&to=2026-01-02T00:30:00Z';
    const starts = (rows: Row[]) => rows.map(({ start, calls }) => [start, calls]);
    expect(starts(await usage(`?group=hour&${range}`))).toEqual(
      early.map((hour) => [hour.replace('Z', ':00.000Z'), 5]),
    );
    expect(starts(await usage(`?group=day&${range}`))).toEqual([
      ['2026-01-01T00:00:00.000Z', 10],
      ['2026-01-02T00:00:00.000Z', 5],
    ]);
    expect(await total(`?${range}`)).toMatchObject({ calls: 15 });
    expect(await total('?from=2026-01-01T01:00:00Z&to=2026-01-02T00:00:00Z')).toMatchObject({ calls: 5 });

    const ids = (rows: Row[]) => rows.map(({ function_id }) => String(function_id));
    const all = ids(await usage('?group=function'));
    expect(all).toEqual([...all].sort());
    const [first = ''] = ids(await usage('?group=function&limit=1'));
    expect([first, ...ids(await usage(`?group=function&after=${first}`))]).toEqual(all);
    for (const query of [
      'group=week',
      'limit=1001',
      'from=yesterday',
      'from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z',
      'from=2024-01-01T00:00:00Z&to=2026-01-01T00:00:00Z',
      'group=hour&from=2025-11-01T00:00:00Z&to=2026-01-01T00:00:00Z',
      'after=one',
      'function=%2e%2e',
    ])
      expect([query, (await tenant.api(`/api/v1/usage?${query}`)).status]).toEqual([query, 400]);
  });

  it('is for those who may read executions', async () => {
    for (const [key, status] of [
      [tenant.anon, 403],
      [null, 401],
      [running.node.admin_key, 200],
    ] as const)
      expect((await tenant.api('/api/v1/usage', { key })).status).toBe(status);
  });

  it('loses nothing to a router that is forked anew nor to a node that stops, but what is not written yet', async () => {
    const before = await total('?function=answers');
    const supervisor = Number(running.node.process.pid);
    await calls('answers', 25);
    expect((await total('?function=answers')).calls).toBe(before.calls + 25);
    const [victim] = routersOf(supervisor);
    process.kill(Number(victim?.pid), 'SIGKILL');
    await until(() => {
      const routers = routersOf(supervisor);
      return routers.length === 2 && routers.every(({ pid }) => pid !== victim?.pid);
    });
    await until(areReady);
    const after = await total('?function=answers');
    expect(after.calls).toBe(before.calls + 25);

    // Nobody asks before the stop: what was counted last is written by the stop itself.
    const answered = await calls('answers', 40);
    expect(answered).toBe(40);
    expect(await running.restart()).toBe(0);
    const restarted = await total('?function=answers');
    expect(restarted.calls).toBe(after.calls + 40);
    expect(restarted.egress_bytes).toBe(restarted.calls * BODY.length);
    expect(restarted.mib_seconds).toBeGreaterThan(after.mib_seconds);
  });

  it('is kept while the database is away, and added when it is back', async () => {
    await calls('answers', 1);
    const before = await total('?function=answers');
    await running.pauseDatabase();
    expect(await calls('answers', 12)).toBe(12);
    await until(async () => (await tenant.api('/api/v1/usage')).status === 503);
    await running.resumeDatabase();
    await until(async () => (await tenant.api('/api/v1/usage')).status === 200);
    await until(async () => (await total('?function=answers')).calls >= before.calls + 12);
    expect((await total('?function=answers')).calls).toBe(before.calls + 12);
  });
});
