/**
 * Two tenants on one node, and every route of the API document: what belongs to one is neither shown to the other nor
 * changed by it. The routes are read from the document, so that a new one is covered by itself.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCOPES } from '../../src/router/principal.js';
import { signToken } from '../../src/tokens.js';
import { linesOf } from '../support/answers.js';
import { exactRequest } from '../support/exact_request.js';
import { until } from '../support/node.js';
import { bodyFor, type Route, readRoutes } from '../support/openapi.js';
import { startTenantNode, type TenantNode, type TestTenant } from '../support/tenants.js';

const SECRETS = { a: 'the secret of tenant a', b: 'the secret of tenant b' };
/** In B's code, logs and answers, and nowhere in A's. */
const MARKER = 'only-of-tenant-b';
const shared = (text: string) => `export default () => { console.log('line ${text}'); return '${text}'; };`;

let running: TenantNode;
let a: TestTenant;
let b: TestTenant;
let routes: Route[];
/** What B has, as paths name it. */
const ofB: Record<string, string> = { functions: 'shared', tenants: 'b', secrets: 'ONLY_B' };
/** A's credentials of every kind, as headers. */
let credentials: [kind: string, headers: Record<string, string>][];

beforeAll(async () => {
  running = await startTenantNode({ HEARTH_DOMAIN: 'functions.test' });
  a = await running.tenant('a', { jwt_secret: SECRETS.a, domains: ['a.example'] });
  b = await running.tenant('b', { jwt_secret: SECRETS.b, domains: ['b.example'] });
  await a.deploy('shared', shared('of a'), { routes: ['/shared'] });
  await b.deploy('shared', shared(MARKER), { routes: ['/shared'] });
  await b.deploy('open', shared(MARKER), { allow_unauthenticated: true });
  await b.deploy('only-b', shared(MARKER));
  await b.api('/api/v1/secrets/ONLY_B', { method: 'PUT', json: { value: 'a value of b' } });
  const called = await b.call('shared');
  ofB.executions = called.headers.get('x-execution-id') ?? '';
  await until(async () => (await b.api(`/api/v1/executions/${ofB.executions}`)).status === 200);
  const document = await fetch(`${running.node.url}/api/v1/openapi.json`);
  routes = readRoutes(await document.json()).filter((route) => !route.public);
  const secret = { method: 'PUT', json: { value: MARKER } };
  expect((await b.api('/api/v1/secrets/TOKEN', secret)).status).toBe(201);
  ofB.secrets = 'TOKEN';
  ofB.keys = (await keyOf(b, { kind: 'api', scopes: [...SCOPES] })).id;
  credentials = await credentialsOf(a, SECRETS.a);
});
afterAll(() => running?.stop());

async function keyOf(tenant: TestTenant, fields: object): Promise<{ id: string; key: string }> {
  const answer = await tenant.api('/api/v1/keys', { method: 'POST', json: { name: 'a key', ...fields } });
  expect(answer.status).toBe(201);
  return (await answer.json()) as { id: string; key: string };
}

async function credentialsOf(tenant: TestTenant, secret: string): Promise<typeof credentials> {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const token = (claims: Record<string, unknown>) =>
    signToken(secret, { tenant: tenant.slug, exp, ...claims });
  const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
  return [
    ['anon key', bearer(tenant.anon)],
    ['anon key as apikey', { apikey: tenant.anon }],
    ['authenticated token', bearer(token({ role: 'authenticated' }))],
    ["user's token", bearer(token({ role: 'authenticated', sub: 'user-1', email: 'user@a.example' }))],
    ['service_role token', bearer(token({ role: 'service_role' }))],
    ['service_role token as a service key', { 'x-service-key': tenant.service }],
    [
      'API key with all scopes',
      { 'x-api-key': (await keyOf(tenant, { kind: 'api', scopes: [...SCOPES] })).key },
    ],
    ['service key', { 'x-service-key': (await keyOf(tenant, { kind: 'service' })).key }],
  ];
}

/** The route's path with what B has in the places of its parameters. */
function pathOf({ path }: Route, own: Record<string, string> = ofB): string {
  return path.replace(/([\w-]+)\/\{(\w+)\}/g, (_, collection: string, name: string) => {
    const kind = collection === 'v1' ? 'functions' : collection;
    const value = own[kind];
    if (value === undefined) throw new Error(`tell this test what {${name}} of ${path} is at tenant B`);
    return `${collection}/${value}`;
  });
}

function ask(route: Route, prefix: string, headers: Record<string, string>, own = ofB) {
  const body = bodyFor(route);
  return exactRequest(running.node.url, {
    method: route.method.toUpperCase(),
    path: prefix + pathOf(route, own),
    headers: body === null ? headers : { 'content-type': 'application/json', ...headers },
    ...(body === null ? {} : { body: Buffer.from(JSON.stringify(body)) }),
  });
}

/** Everything that the database has of B, and what the metrics say of it; but for what goes on by the clock. */
async function stateOfB(): Promise<Record<string, unknown>> {
  await running.node.api('/api/v1/usage'); // writes what is counted or buffered in memory
  const state: Record<string, unknown> = {};
  const tables = await running.sql(`
    select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = current_schema()::regnamespace
      and a.attname = 'tenant' and not a.attisdropped and c.relname <> 'quota_gauges'`);
  expect(tables.length).toBeGreaterThan(8);
  for (const { name } of [...tables, { name: 'tenants' }]) {
    const column = name === 'tenants' ? 'slug' : 'tenant';
    state[String(name)] = await running.sql(
      `select to_jsonb(t) - 'mib_seconds' as row from ${name} t where ${column} = 'b' order by 1`,
    );
  }
  const metrics = await (await fetch(running.node.metrics_url)).text();
  const series = metrics
    .split('\n')
    .filter((line) => /^faas_(invocations|errors|coldstarts)\w*\{.*="b"/.test(line));
  expect(series.length).toBeGreaterThan(0);
  state.metrics = series.sort();
  return state;
}

/** Runs `attempts`, none of which may show or change anything of B's. */
async function leavesAlone(attempts: () => Promise<void>) {
  const before = await stateOfB();
  await attempts();
  expect(await stateOfB()).toEqual(before);
}

describe('every route of the API', () => {
  it('is in the document', () => {
    const all = routes.map(({ method, path }) => `${method} ${path}`);
    expect(all).toContain('post /api/v1/functions');
    expect(all).toContain('delete /api/v1/admin/tenants/{tenant}');
    expect(all).toContain('get /api/v1/usage');
    expect(routes.length).toBeGreaterThan(20);
  });

  it('answers another tenant’s credentials with 403 or 404 under B’s path, and changes nothing', async () => {
    await leavesAlone(async () => {
      for (const route of routes) {
        for (const [kind, headers] of credentials) {
          const answer = await ask(route, '/t/b', headers);
          const what = `${route.method} ${route.path} with A's ${kind}`;
          expect([what, [403, 404].includes(answer.status) ? 'refused' : answer.status]).toEqual([
            what,
            'refused',
          ]);
          expect(answer.body.toString()).not.toContain(MARKER);
        }
      }
    });
  });

  it.each(['B.Functions.test.:80', 'B.EXAMPLE:8080'])(
    'answers them so under the host %s as well, whatever the path says',
    async (host) => {
      await leavesAlone(async () => {
        for (const route of routes) {
          for (const [kind, headers] of credentials.slice(-2)) {
            for (const prefix of ['', '/t/a']) {
              const answer = await ask(route, prefix, { ...headers, host });
              const what = `${route.method} ${prefix}${route.path} with A's ${kind}`;
              expect([what, [403, 404].includes(answer.status) ? 'refused' : answer.status]).toEqual([
                what,
                'refused',
              ]);
            }
          }
        }
      });
    },
  );

  it('finds nothing of B’s when A asks for it among its own', async () => {
    const service = { 'x-service-key': a.service };
    const names = { ...ofB, functions: 'only-b' };
    await leavesAlone(async () => {
      for (const route of routes) {
        const answer = await ask(route, '/t/a', service, names);
        const what = `${route.method} ${route.path}`;
        expect([what, answer.body.toString().includes(MARKER)]).toEqual([what, false]);
        // A name is anybody's to give; an id is of one thing.
        if (/(executions|keys)\/\{/.test(route.path)) expect([what, answer.status]).toEqual([what, 404]);
        if (/functions(\/v1)?\/\{/.test(route.path)) expect([what, answer.status]).toEqual([what, 404]);
        if (route.path.includes('/admin/tenants')) expect([what, answer.status]).toEqual([what, 403]);
      }
    });
  });

  it('takes no credential of one tenant for another’s, nor a token that names another tenant than its signer', async () => {
    const exp = Math.floor(Date.now() / 1000) + 3600;
    const forged = signToken(SECRETS.a, { role: 'service_role', tenant: 'b', exp });
    const unnamed = signToken(SECRETS.a, { role: 'service_role', exp });
    await leavesAlone(async () => {
      for (const token of [forged, unnamed])
        for (const route of routes)
          expect((await ask(route, '/t/b', { authorization: `Bearer ${token}` })).status).toBe(401);
    });
  });
});

describe('a call', () => {
  it('with A’s credential runs no function of B’s, not even one that is open to all', async () => {
    for (const [kind, headers] of credentials)
      for (const path of ['/t/b/functions/v1/shared', '/t/b/functions/v1/open', '/t/b/shared'])
        expect([kind, path, (await exactRequest(running.node.url, { path, headers })).status]).toEqual([
          kind,
          path,
          403,
        ]);
    for (const host of ['b.example', 'b.functions.test'])
      expect(
        (await exactRequest(running.node.url, { path: '/shared', headers: { host, apikey: a.anon } })).status,
      ).toBe(403);
  });

  it('with A’s credential and no tenant named runs A’s function', async () => {
    const headers = { authorization: `Bearer ${a.anon}` };
    for (const path of ['/functions/v1/shared', '/t/a/functions/v1/shared', '/shared']) {
      const answer = await exactRequest(running.node.url, { path, headers });
      expect([path, answer.body.toString()]).toEqual([path, 'of a']);
    }
  });

  it('by a function of A’s, with the token of its process, runs none of B’s', async () => {
    await a.deploy(
      'reaches',
      `export default async () => {
        const headers = { authorization: 'Bearer ' + Deno.env.get('HEARTH_TOKEN') };
        const url = Deno.env.get('HEARTH_URL');
        const statuses = [];
        for (const path of ['/t/b/functions/v1/shared', '/t/b/api/v1/functions', '/t/a/functions/v1/shared'])
          statuses.push((await fetch(url + path, { headers })).status);
        return statuses;
      };`,
    );
    await leavesAlone(async () => {
      expect(await (await a.call('reaches')).json()).toEqual([403, 403, 200]);
    });
  });
});

describe('what A may read', () => {
  it('has only A’s in its lists', async () => {
    await a.call('shared');
    await b.call('shared');
    const read = async (path: string) => await (await a.api(path)).text();
    expect(await read('/api/v1/functions?limit=200')).not.toContain(MARKER);
    expect(await read('/api/v1/functions?limit=200')).not.toContain('only-b');
    const executions = JSON.parse(await read('/api/v1/functions/shared/executions')) as { result: string }[];
    expect([...new Set(executions.map(({ result }) => result))]).toEqual(['of a']);
    expect(await read('/api/v1/functions/shared/logs')).not.toContain(MARKER);
    const usage = JSON.parse(await read('/api/v1/usage?group=function')) as {
      usage: { function_name: string }[];
    };
    expect(usage.usage.map((row) => row.function_name)).not.toContain('open');
    const audit = JSON.parse(await read('/api/v1/audit?limit=200')) as { tenant: string }[];
    expect([...new Set(audit.map(({ tenant }) => tenant))]).toEqual(['a']);
  });

  it('has no line of B’s in the live log of a function of the same name', async () => {
    const lines = linesOf(await a.api('/api/v1/functions/shared/logs?follow=true'));
    expect(await lines.next()).toBe(': following');
    const called = await b.call('shared');
    const key = { key: running.node.admin_key };
    await until(async () => {
      const found = await b.api(`/api/v1/executions/${called.headers.get('x-execution-id')}`, key);
      return found.status === 200 && /line/.test(await found.text());
    });
    await a.call('shared');
    await until(() => lines.waiting().length > 0);
    expect(lines.waiting().join('\n')).toContain('line of a');
    expect(lines.waiting().join('\n')).not.toContain(MARKER);
    await lines.cancel();
  });
});

describe('the same requests', () => {
  it('do something for B itself, so that the refusals above are worth something', async () => {
    const rank = ({ method, path }: Route) =>
      method !== 'delete' ? 0 : path.includes('tenants') ? 3 : path.includes('/functions/{') ? 2 : 1;
    for (const route of [...routes].sort((one, other) => rank(one) - rank(other))) {
      const isAdmin = route.path.includes('/admin/');
      const headers = { 'x-service-key': isAdmin ? running.node.admin_key : b.service };
      const { status } = await ask(route, '/t/b', headers);
      const what = `${route.method} ${route.path}`;
      expect([what, [401, 403, 404, 405].includes(status) || status >= 500 ? status : 'done']).toEqual([
        what,
        'done',
      ]);
    }
  });
});
