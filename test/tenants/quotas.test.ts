/** Quotas and rate limits over two routers: exact at their edge, told to the caller, and kept over restarts and nodes. */
import { readFile } from 'node:fs/promises';
import { Client, Pool } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { signToken } from '../../src/tokens.js';
import { type DatabaseUrl, databaseUrl } from '../support/database_url.js';
import { type Gate, startGate } from '../support/gate.js';
import { scrape, total } from '../support/metrics.js';
import { startNode, type TestNode, until } from '../support/node.js';
import { routersOf } from '../support/processes.js';
import { startTenantNode, type TenantNode, type TestTenant } from '../support/tenants.js';

const HELLO = "export default () => 'hello';";
const JWT_SECRET = 'a secret that only this test has';
const SECRET_KEY = 'what both nodes seal secrets with';
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

interface Outcome {
  status: number;
  code: string | null;
  headers: Record<string, string>;
}

let running: TenantNode;
let gate: Gate;

beforeAll(async () => {
  [running, gate] = await Promise.all([startTenantNode({ HEARTH_SECRET_KEY: SECRET_KEY }), startGate()]);
});
afterEach(() => gate.open());
afterAll(async () => {
  await running?.stop();
  await gate?.stop();
});

/** Calls at the same time, each on a connection of its own, so that the routers take turns. */
async function burst(
  tenant: TestTenant,
  name: string,
  count: number,
  headers: Record<string, string> = { authorization: `Bearer ${tenant.anon}` },
  url = running.node.url,
): Promise<Outcome[]> {
  const pool = new Pool(url, { connections: count, pipelining: 1 });
  try {
    const path = `/t/${tenant.slug}/functions/v1/${name}`;
    return await Promise.all(
      Array.from({ length: count }, async () => {
        const answer = await pool.request({ path, method: 'GET', headers });
        const text = await answer.body.text();
        const code = answer.statusCode === 200 ? null : String(JSON.parse(text).code);
        return { status: answer.statusCode, code, headers: answer.headers as Record<string, string> };
      }),
    );
  } finally {
    await pool.destroy();
  }
}

const admitted = (outcomes: Outcome[]) => outcomes.filter(({ status }) => status === 200);
const refused = (outcomes: Outcome[], code: string) => outcomes.filter((each) => each.code === code);

/** At the start of a window where this one is about to end. */
async function withinWindow(windowMs: number, leftMs = 8_000) {
  await until(() => windowMs - (Date.now() % windowMs) > leftMs, leftMs + 1_000);
}

async function setQuotas(tenant: TestTenant, quotas: Record<string, number | null>) {
  const path = `/api/v1/admin/tenants/${tenant.slug}`;
  const answer = await running.node.api(path, { key: 'admin', method: 'PATCH', json: { quotas } });
  expect(answer.status, await answer.clone().text()).toBe(200);
}

const user = (tenant: string, sub: string) => ({
  authorization: `Bearer ${signToken(JWT_SECRET, {
    role: 'authenticated',
    tenant,
    sub,
    exp: Math.floor(Date.now() / 1000) + 3600,
  })}`,
});

/** A call that waits at the gate. */
const gated = (tenant: TestTenant, name: string, call: string, signal?: AbortSignal) =>
  tenant.call(name, {
    headers: { 'x-gate': gate.url, 'x-call': call },
    ...(signal === undefined ? {} : { signal }),
  });

const arrived = (prefix: string) => gate.arrived.filter(({ call }) => call.startsWith(prefix));

async function gatedFunction(tenant: TestTenant, name: string, settings: Record<string, unknown> = {}) {
  const code = await readFile(new URL('../functions/waits_at_gate.js', import.meta.url), 'utf8');
  await tenant.deploy(name, code, settings);
}

describe('calls per minute', () => {
  it('are admitted exactly as many as the quota says, over both routers', async () => {
    const tenant = await running.tenant('minute', { quotas: { calls_per_minute: 100 } });
    await tenant.deploy('hello', HELLO);
    await withinWindow(MINUTE_MS);
    const outcomes = await burst(tenant, 'hello', 200);
    expect(admitted(outcomes)).toHaveLength(100);
    expect(refused(outcomes, 'QUOTA_EXCEEDED')).toHaveLength(100);
    for (const { headers } of refused(outcomes, 'QUOTA_EXCEEDED')) {
      expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1);
      expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60);
      expect(headers['ratelimit-policy']).toBe('"minute";q=100;w=60');
      expect(headers.ratelimit).toMatch(/^"minute";r=0;t=[1-9]\d?$/);
      expect(headers['x-execution-id']).toBeUndefined();
    }
    for (const { headers } of admitted(outcomes)) {
      expect(headers['ratelimit-policy']).toBe('"minute";q=100;w=60');
      expect(headers.ratelimit).toMatch(/^"minute";r=\d+;t=[1-9]\d?$/);
    }
    // No executions, but counted.
    await until(async () => {
      const page = await scrape(running.node.metrics_url);
      const labels = { hearth_tenant: 'minute', hearth_limit: 'minute' };
      return total(page, 'hearth_calls_refused_total', labels) === 100;
    });
    await until(async () => {
      const answer = await tenant.api('/api/v1/functions/hello/executions?limit=200');
      return ((await answer.json()) as unknown[]).length === 100;
    });
  });

  it('are told to a caller one by one', async () => {
    const tenant = await running.tenant('told', { quotas: { calls_per_minute: 10 } });
    await tenant.deploy('hello', HELLO);
    await withinWindow(MINUTE_MS);
    const [first] = await burst(tenant, 'hello', 1);
    expect(first?.headers.ratelimit).toMatch(/^"minute";r=9;t=/);
  });

  it('can all be made through one router, whatever the other one holds', async () => {
    const tenant = await running.tenant('pinned', { quotas: { calls_per_minute: 40 } });
    await tenant.deploy('hello', HELLO);
    await withinWindow(MINUTE_MS);
    expect(admitted(await burst(tenant, 'hello', 4))).toHaveLength(4);
    const client = new Client(running.node.url);
    try {
      const statuses: number[] = [];
      for (let n = 0; n < 50; n++) {
        const { statusCode, body } = await client.request({
          path: '/t/pinned/functions/v1/hello',
          method: 'GET',
          headers: { authorization: `Bearer ${tenant.anon}` },
        });
        await body.dump();
        statuses.push(statusCode);
      }
      expect(statuses).toEqual([...Array(36).fill(200), ...Array(14).fill(429)]);
    } finally {
      await client.destroy();
    }
  });
});

describe('calls per day', () => {
  it('follow a change of the quota at once, and count what was made before', async () => {
    const tenant = await running.tenant('daily', { quotas: { calls_per_day: 10 } });
    await tenant.deploy('hello', HELLO);
    await withinWindow(DAY_MS, 20_000);
    expect(admitted(await burst(tenant, 'hello', 20))).toHaveLength(10);
    await setQuotas(tenant, { calls_per_day: 25 });
    expect(admitted(await burst(tenant, 'hello', 30))).toHaveLength(15);
    await setQuotas(tenant, { calls_per_day: 5 });
    expect(admitted(await burst(tenant, 'hello', 10))).toHaveLength(0);
    await setQuotas(tenant, { calls_per_day: null });
    expect(admitted(await burst(tenant, 'hello', 40))).toHaveLength(40);
  });
});

describe('a rate limit', () => {
  it('is each caller’s own: users, keys, and an address for those without one', async () => {
    const tenant = await running.tenant('callers', { jwt_secret: JWT_SECRET });
    await tenant.deploy('limited', HELLO, { rate_limit: '20/day', allow_unauthenticated: true });
    const made = await tenant.api('/api/v1/keys', {
      method: 'POST',
      json: { name: 'a key', kind: 'api', scopes: ['execute:functions'] },
    });
    expect(made.status, await made.clone().text()).toBe(201);
    const { key } = (await made.json()) as { key: string };
    await withinWindow(DAY_MS);
    const all = await Promise.all([
      burst(tenant, 'limited', 60, { 'x-api-key': key }),
      burst(tenant, 'limited', 60, user('callers', 'ada')),
      burst(tenant, 'limited', 60, user('callers', 'bob')),
      burst(tenant, 'limited', 60, {}),
    ]);
    for (const outcomes of all) {
      expect(admitted(outcomes)).toHaveLength(20);
      expect(refused(outcomes, 'RATE_LIMITED')).toHaveLength(40);
      const [one] = refused(outcomes, 'RATE_LIMITED');
      expect(one?.headers['ratelimit-policy']).toBe('"caller";q=20;w=86400');
      expect(one?.headers['retry-after']).toMatch(/^[1-9]\d*$/);
    }
  });

  it('that refuses takes nothing of the tenant’s quota', async () => {
    const quotas = { calls_per_day: 30 };
    const tenant = await running.tenant('both', { jwt_secret: JWT_SECRET, quotas });
    await tenant.deploy('limited', HELLO, { rate_limit: '10/day' });
    await withinWindow(DAY_MS);
    expect(admitted(await burst(tenant, 'limited', 40, user('both', 'ada')))).toHaveLength(10);
    expect(admitted(await burst(tenant, 'limited', 40, user('both', 'bob')))).toHaveLength(10);
    expect(admitted(await burst(tenant, 'limited', 40, user('both', 'eve')))).toHaveLength(10);
    const tom = () => burst(tenant, 'limited', 40, user('both', 'tom'));
    expect(admitted(await tom())).toHaveLength(0);
    // Until each router has heard that the quota is used up, calls that ask for it hold what the caller has left for a moment.
    await until(async () => {
      const told = await tom();
      expect(admitted(told)).toHaveLength(0);
      return refused(told, 'QUOTA_EXCEEDED').length === 40;
    });
    // And what the tenant's quota refuses takes nothing of the caller's, on whichever router.
    await setQuotas(tenant, { calls_per_day: 100 });
    expect(admitted(await tom())).toHaveLength(10);
  });
});

describe('concurrent calls', () => {
  it('are refused beyond the quota at once, and admitted as soon as one is over', async () => {
    const tenant = await running.tenant('few', { quotas: { concurrent_calls: 5 } });
    await gatedFunction(tenant, 'held');
    gate.close();
    const leaving = new AbortController();
    const calls = Array.from({ length: 5 }, (_, index) =>
      gated(tenant, 'held', `few-${index}`, index === 4 ? leaving.signal : undefined).catch(() => null),
    );
    await until(() => arrived('few-').length === 5);
    const outcomes = await burst(tenant, 'held', 20);
    expect(refused(outcomes, 'QUOTA_EXCEEDED')).toHaveLength(20);
    expect(outcomes[0]?.headers).toMatchObject({
      'retry-after': '1',
      'ratelimit-policy': '"concurrent";q=5;qu="concurrent-requests"',
    });
    gate.release('few-0');
    await calls[0];
    // Whichever router it was on, and whichever is asked.
    for (let n = 0; n < 4; n++) expect(admitted(await burst(tenant, 'held', 1))).toHaveLength(1);
    expect(admitted(await burst(tenant, 'held', 10)).length).toBeGreaterThan(0);
    const before = arrived('few-').length;
    const fifth = gated(tenant, 'held', 'few-again');
    await until(() => arrived('few-').length === before + 1);
    expect(admitted(await burst(tenant, 'held', 6))).toHaveLength(0);
    // A client that goes away gives its place back too.
    leaving.abort();
    await until(async () => admitted(await burst(tenant, 'held', 1)).length === 1);
    gate.open();
    expect((await fifth).status).toBe(200);
    await Promise.all(calls);
    gate.close();
    const again = Array.from({ length: 5 }, (_, index) => gated(tenant, 'held', `few-more-${index}`));
    await until(() => arrived('few-more-').length === 5);
    expect(admitted(await burst(tenant, 'held', 3))).toHaveLength(0);
    gate.open();
    for (const call of again) expect((await call).status).toBe(200);
  });

  it('count open WebSockets', async () => {
    const tenant = await running.tenant('sockets', { quotas: { concurrent_calls: 1 } });
    const code = await readFile(new URL('../functions/web_socket.ts', import.meta.url), 'utf8');
    await tenant.deploy('socket', code);
    const url = `${running.node.url.replace('http', 'ws')}/t/sockets/functions/v1/socket`;
    const open = (): Promise<WebSocket> =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(url, { headers: { authorization: `Bearer ${tenant.anon}` } });
        socket.once('open', () => resolve(socket));
        socket.once('error', reject);
      });
    const first = await open();
    await expect(open()).rejects.toThrow('429');
    expect(refused(await burst(tenant, 'socket', 3), 'QUOTA_EXCEEDED')).toHaveLength(3);
    first.close();
    const again = () =>
      open().then(
        (socket) => socket.close(),
        () => 'refused',
      );
    await until(async () => (await again()) !== 'refused');
  });

  it('end with the router that they ran on', async () => {
    const tenant = await running.tenant('orphans', { quotas: { concurrent_calls: 4, calls_per_day: 1_000 } });
    await gatedFunction(tenant, 'held');
    gate.close();
    const calls = Array.from({ length: 4 }, (_, index) =>
      gated(tenant, 'held', `orphans-${index}`).then(
        ({ status }) => status,
        () => 'cut off',
      ),
    );
    await until(() => arrived('orphans-').length === 4);
    expect(admitted(await burst(tenant, 'held', 2))).toHaveLength(0);
    const supervisor = running.node.process.pid ?? 0;
    const killed = new Set(routersOf(supervisor).map(({ pid }) => pid));
    for (const pid of killed) process.kill(pid, 'SIGKILL');
    expect(await Promise.all(calls)).toEqual(Array(4).fill('cut off'));
    await until(() => routersOf(supervisor).filter(({ pid }) => !killed.has(pid)).length === 2);
    await until(async () => (await fetch(`${running.node.url}/readyz`).catch(() => null))?.status === 200);
    gate.open();
    await until(async () => (await burst(tenant, 'held', 4).then(admitted, () => [])).length === 4);
  });
});

describe('functions and their code', () => {
  it('are as many as the quota says, however many are deployed at once', async () => {
    const tenant = await running.tenant('authors', { quotas: { functions: 3, code_bytes: 400 } });
    const deploy = (name: string, code: string, method = 'POST') =>
      tenant.api(`/api/v1/functions${method === 'POST' ? '' : `/${name}`}`, {
        method,
        json: method === 'POST' ? { name, code } : { code },
      });
    const answers = await Promise.all(Array.from({ length: 6 }, (_, n) => deploy(`f${n}`, HELLO)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 429, 429, 429]);
    const [one] = answers.filter(({ status }) => status === 429);
    expect(one?.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    expect(await one?.json()).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      error: 'The tenant authors may have 3 functions, and has 3.',
    });
    const name = `f${answers.findIndex(({ status }) => status === 201)}`;
    const large = await deploy(name, `${HELLO}//${'x'.repeat(400)}`, 'PATCH');
    expect(await large.json()).toMatchObject({ code: 'QUOTA_EXCEEDED' });
    expect((await deploy(name, `${HELLO}//${'x'.repeat(100)}`, 'PATCH')).status).toBe(200);
    expect((await tenant.api(`/api/v1/functions/${name}`, { method: 'DELETE' })).status).toBe(204);
    expect((await deploy('another', HELLO)).status).toBe(201);
  });
});

describe('processes', () => {
  it('are shared by a tenant’s functions: an idle one makes room, a busy one does not', async () => {
    const tenant = await running.tenant('narrow', { quotas: { live_processes: 1 } });
    await gatedFunction(tenant, 'one', { timeout_seconds: 60 });
    // A call waits for a process as long as its function may run, and 10 s at most.
    await gatedFunction(tenant, 'other', { timeout_seconds: 1 });
    gate.close();
    const held = gated(tenant, 'one', 'narrow-0');
    await until(() => arrived('narrow-').length === 1);
    const outcomes = await burst(tenant, 'other', 3);
    expect(refused(outcomes, 'QUOTA_EXCEEDED')).toHaveLength(3);
    expect(outcomes[0]?.headers['retry-after']).toMatch(/^[1-9]\d*$/);
    gate.open();
    expect((await held).status).toBe(200);
    await until(async () => admitted(await burst(tenant, 'other', 1)).length === 1);
    await until(async () => admitted(await burst(tenant, 'one', 1)).length === 1);
  });

  it('have no more memory than the quota says', async () => {
    const tenant = await running.tenant('lean', { quotas: { memory_mib: 256 } });
    await tenant.deploy('large', HELLO, { memory_limit_mb: 512 });
    expect(refused(await burst(tenant, 'large', 2), 'QUOTA_EXCEEDED')).toHaveLength(2);
    await gatedFunction(tenant, 'fits', { memory_limit_mb: 128, max_concurrency: 1 });
    await tenant.deploy('late', HELLO, { memory_limit_mb: 32, timeout_seconds: 1 });
    gate.close();
    const calls = Array.from({ length: 2 }, (_, index) => gated(tenant, 'fits', `lean-${index}`));
    await until(() => arrived('lean-').length === 2);
    expect(refused(await burst(tenant, 'late', 2), 'QUOTA_EXCEEDED')).toHaveLength(2);
    gate.open();
    for (const call of calls) expect((await call).status).toBe(200);
  });
});

describe('CPU of the month', () => {
  it('closes the tenant until the month ends, or its quota is raised', async () => {
    const tenant = await running.tenant('burner', { quotas: { cpu_seconds_per_month: 1 } });
    await tenant.deploy(
      'burn',
      'export default () => { const end = Date.now() + 300; while (Date.now() < end); return 1; };',
    );
    await until(async () => refused(await burst(tenant, 'burn', 1), 'QUOTA_EXCEEDED').length === 1);
    const [one] = await burst(tenant, 'burn', 1);
    expect(Number(one?.headers['retry-after'])).toBeLessThanOrEqual(31 * 86_400);
    await until(async () => {
      const [row] = await running.sql(
        "select used from quota_windows where tenant = 'burner' and quota = 'month'",
      );
      return Number(row?.used) >= 1;
    });
    await setQuotas(tenant, { cpu_seconds_per_month: 1_000 });
    expect(admitted(await burst(tenant, 'burn', 1))).toHaveLength(1);
  });
});

describe('over nodes and restarts', () => {
  let address: DatabaseUrl;
  let second: TestNode;

  beforeAll(async () => {
    address = await databaseUrl(running.database);
    second = await startNode({ DATABASE_URL: address.url, HEARTH_SECRET_KEY: SECRET_KEY });
  });
  afterAll(async () => {
    await second?.remove();
    await address?.stop();
  });

  const recorded = async (tenant: string) => {
    const [row] = await running.sql(
      `select used from quota_windows where tenant = '${tenant}' and quota = 'day' order by starts_at desc`,
    );
    return Number(row?.used ?? 0);
  };

  it('a quota is one for all nodes: what one has admitted the other one counts', async () => {
    const tenant = await running.tenant('spread', { quotas: { calls_per_day: 50 } });
    await tenant.deploy('hello', HELLO);
    await withinWindow(DAY_MS);
    const at = (url: string) => burst(tenant, 'hello', 30, undefined, url);
    await until(async () => (await fetch(`${second.url}/t/spread/functions/v1/hello`)).status === 401);
    expect(admitted(await at(running.node.url))).toHaveLength(30);
    // It knows of them once they are in the database, and unspent ones are back: within a second or two.
    await until(async () => (await recorded('spread')) === 30);
    expect(admitted(await at(second.url))).toHaveLength(20);
    await until(async () => (await recorded('spread')) === 50);
    expect(admitted(await at(second.url))).toHaveLength(0);
    // The first node may not have heard yet of the 20, and admits as many more at most.
    let late = 0;
    await until(async () => {
      const more = admitted(await at(running.node.url)).length;
      late += more;
      return more === 0 && (await recorded('spread')) === 50 + late;
    });
    expect(late).toBeLessThanOrEqual(20);
    expect(admitted(await at(second.url))).toHaveLength(0);
  });

  it('calls that run on one node count on the other', async () => {
    const tenant = await running.tenant('wide', { quotas: { concurrent_calls: 3 } });
    await gatedFunction(tenant, 'held', { timeout_seconds: 60 });
    await tenant.deploy('quick', HELLO);
    await until(async () => (await fetch(`${second.url}/t/wide/functions/v1/quick`)).status === 401);
    gate.close();
    const calls = Array.from({ length: 3 }, (_, index) => gated(tenant, 'held', `wide-${index}`));
    await until(() => arrived('wide-').length === 3);
    // It hears of them within a second or two, and admits until then.
    const there = () => burst(tenant, 'quick', 2, undefined, second.url);
    await until(async () => refused(await there(), 'QUOTA_EXCEEDED').length === 2);
    gate.open();
    for (const call of calls) expect((await call).status).toBe(200);
    await until(async () => admitted(await there()).length === 2);
  });

  it('a restart forgets nothing', async () => {
    const tenant = await running.tenant('again', { quotas: { calls_per_day: 20 } });
    await tenant.deploy('hello', HELLO);
    await withinWindow(DAY_MS, 20_000);
    expect(admitted(await burst(tenant, 'hello', 15))).toHaveLength(15);
    await running.restart();
    expect(admitted(await burst(tenant, 'hello', 15))).toHaveLength(5);
  });
});
