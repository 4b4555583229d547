/** The admin's API for tenants: created, changed, suspended, deleted; and what the audit log says of it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { AuditRecord } from '../../src/router/api/audit.js';
import { TenantDetails, TenantRecord } from '../../src/router/api/tenant_schemas.js';
import { errorOf } from '../support/answers.js';
import { exactRequest } from '../support/exact_request.js';
import { startGate } from '../support/gate.js';
import { root, until } from '../support/node.js';
import { denoProcessesOf } from '../support/processes.js';
import { startTenantNode, type TenantNode, type TestTenant } from '../support/tenants.js';

const PATH = '/api/v1/admin/tenants';
const HELLO = "export default () => 'hello';";

let running: TenantNode;

beforeAll(async () => {
  running = await startTenantNode({ HEARTH_DOMAIN: 'Functions.test' });
});
afterAll(() => running?.stop());

const admin = (path: string, method = 'GET', json?: unknown) =>
  running.node.api(path, { key: 'admin', method, json });

async function refusal(answering: Promise<Response>) {
  const { status, code, error, details } = await errorOf(await answering);
  return { status, code, error, fields: (details ?? []).map(({ field }) => field) };
}

async function audit(tenant: TestTenant, query = ''): Promise<z.output<typeof AuditRecord>[]> {
  const answer = await tenant.api(`/api/v1/audit${query}`);
  expect(answer.status).toBe(200);
  return AuditRecord.array().parse(await answer.json());
}

describe('a tenant', () => {
  it('is created with everything that it may be given, and serves calls with the keys of the answer', async () => {
    const given = {
      slug: 'whole',
      display_name: 'Whole Ltd',
      domains: ['API.Whole.example.', 'xn--bcher-kva.example'],
      quotas: { calls_per_minute: 1_000_000, functions: 10 },
      jwt: { jwks_url: 'http://127.0.0.1:1/keys', issuer: 'https://whole.example', audience: 'functions' },
      jwt_secret: 'a secret that is long enough',
      retention_days: 7,
    };
    const answer = await admin(PATH, 'POST', given);
    expect(answer.status).toBe(201);
    expect(answer.headers.get('location')).toBe(`${PATH}/whole`);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const { anon_key, service_key, ...created } = (await answer.json()) as Record<string, string>;
    const { jwt_secret, ...shown } = given;
    expect(created).toEqual({
      ...shown,
      domains: ['api.whole.example', 'xn--bcher-kva.example'],
      status: 'active',
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });

    const ask = (path: string, key = '', init: RequestInit = {}) =>
      fetch(running.node.url + path, { ...init, headers: { authorization: `Bearer ${key}` } });
    const body = JSON.stringify({ name: 'hello', code: HELLO });
    expect((await ask('/api/v1/functions', service_key, { method: 'POST', body })).status).toBe(201);
    const called = await ask('/functions/v1/hello', anon_key);
    expect([called.status, await called.text()]).toEqual([200, 'hello']);

    const read = TenantDetails.parse(await (await admin(`${PATH}/whole`)).json());
    expect(read).toMatchObject({ ...created, usage: { functions: 1, code_bytes: HELLO.length } });
  });

  it('has defaults for what is not given', async () => {
    const answer = await admin(PATH, 'POST', { slug: 'bare' });
    expect(await answer.json()).toMatchObject({
      display_name: 'bare',
      domains: [],
      quotas: {},
      jwt: {},
      retention_days: 30,
    });
  });

  it('is told by its own credentials what it is called and what it may use', async () => {
    const tenant = await running.tenant('named', { display_name: 'Named Ltd', quotas: { functions: 3 } });
    const headers = { authorization: `Bearer ${tenant.service}` };
    const answer = await fetch(`${running.node.url}/api/v1/tenant`, { headers });
    const own = { slug: 'named', display_name: 'Named Ltd', quotas: { functions: 3 }, retention_days: 30 };
    expect(await answer.json()).toEqual(own);
    expect((await tenant.api('/api/v1/tenant', { key: tenant.anon })).status).toBe(403);
  });

  it('is listed by slug, page by page', async () => {
    for (const slug of ['page-b', 'page-a', 'page-c']) await running.tenant(slug);
    const slugs = async (query: string) =>
      TenantRecord.array()
        .parse(await (await admin(`${PATH}?${query}`)).json())
        .map(({ slug }) => slug);
    expect(await slugs('limit=2&after=page-')).toEqual(['page-a', 'page-b']);
    expect(await slugs('limit=1&after=page-b')).toEqual(['page-c']);
    expect(await slugs('limit=200')).toEqual((await slugs('limit=200')).sort());
    expect((await refusal(admin(`${PATH}?limit=201`))).fields).toEqual(['limit']);
  });

  it.each([
    [{ slug: 'Upper' }, 'slug'],
    [{ slug: '-dash' }, 'slug'],
    [{ slug: 'x'.repeat(64) }, 'slug'],
    [{ slug: 'ok', display_name: '' }, 'display_name'],
    [{ slug: 'ok', display_name: 'a\u0000b' }, 'display_name'],
    [{ slug: 'ok', domains: ['localhost'] }, 'domains.0'],
    [{ slug: 'ok', domains: ['127.0.0.1'] }, 'domains.0'],
    [{ slug: 'ok', domains: ['a.example:80'] }, 'domains.0'],
    [{ slug: 'ok', domains: ['a..example'] }, 'domains.0'],
    [{ slug: 'ok', domains: [`${'x'.repeat(64)}.example`] }, 'domains.0'],
    [{ slug: 'ok', domains: ['a.example', 'A.example'] }, 'domains'],
    [{ slug: 'ok', domains: ['a.example', 'functions.test'] }, 'domains.1'],
    [{ slug: 'ok', domains: ['other.FUNCTIONS.test'] }, 'domains.0'],
    [{ slug: 'ok', quotas: { functions: -1 } }, 'quotas.functions'],
    [{ slug: 'ok', quotas: { functions: 1.5 } }, 'quotas.functions'],
    [{ slug: 'ok', quotas: { functions: null } }, 'quotas.functions'],
    [{ slug: 'ok', quotas: { anything: 1 } }, 'quotas.anything'],
    [{ slug: 'ok', retention_days: 0 }, 'retention_days'],
    [{ slug: 'ok', jwt: { jwks_url: 'http://example.com/keys' } }, 'jwt.jwks_url'],
    [{ slug: 'ok', jwt: { jwks_url: 'https://me:pass@example.com/keys' } }, 'jwt.jwks_url'],
    [{ slug: 'ok', jwt: { jwks_url: 'file:///etc/passwd' } }, 'jwt.jwks_url'],
    [{ slug: 'ok', jwt: { jwks_url: 'http://127.0.0.1.example.com/' } }, 'jwt.jwks_url'],
    [{ slug: 'ok', jwt_secret: 'too short' }, 'jwt_secret'],
    [{ slug: 'ok', status: 'suspended' }, 'status'],
  ])('is not created from %j', async (given, field) => {
    const refused = await refusal(admin(PATH, 'POST', given));
    expect(refused).toMatchObject({ status: 400, code: 'INVALID_REQUEST', fields: [field] });
    expect(refused.error).not.toContain('too short');
    expect((await admin(`${PATH}/ok`)).status).toBe(404);
  });

  it('has its slug and its domains for itself', async () => {
    await running.tenant('first', { domains: ['one.example', 'two.example'] });
    expect(await refusal(admin(PATH, 'POST', { slug: 'first' }))).toMatchObject({
      status: 409,
      fields: ['slug'],
    });
    const taken = { domains: ['three.example', 'Two.example'] };
    expect(await refusal(admin(PATH, 'POST', { slug: 'late', ...taken }))).toMatchObject({
      status: 409,
      fields: ['domains.1'],
    });
    expect((await admin(`${PATH}/late`)).status).toBe(404);
    await running.tenant('second');
    expect(await refusal(admin(`${PATH}/second`, 'PATCH', taken))).toMatchObject({ status: 409 });
    expect((await admin(`${PATH}/first`, 'PATCH', { domains: ['one.example'] })).status).toBe(200);
    expect((await admin(`${PATH}/second`, 'PATCH', taken)).status).toBe(200);
  });

  it('is the admin key’s alone to see and to change', async () => {
    const tenant = await running.tenant('curious');
    const tries: [string, string, unknown?][] = [
      ['GET', PATH],
      ['POST', PATH, { slug: 'sub' }],
      ['GET', `${PATH}/curious`],
      ['PATCH', `${PATH}/curious`, { quotas: {} }],
      ['DELETE', `${PATH}/curious`],
    ];
    for (const [method, path, json] of tries) {
      for (const key of [tenant.service, tenant.anon])
        expect([method, (await refusal(tenant.api(path, { method, key, json }))).status]).toEqual([
          method,
          403,
        ]);
      expect((await refusal(tenant.api(path, { method, key: null, json }))).status).toBe(401);
    }
    expect((await admin(`/t/curious${PATH}/curious`)).status).toBe(200);
  });
});

describe('a change of a tenant', () => {
  it('sets what is given, takes away what is null, and is in force when the answer comes', async () => {
    const tenant = await running.tenant('changing', {
      quotas: { functions: 5, code_bytes: 1000 },
      jwt: { issuer: 'one', audience: 'two' },
    });
    await tenant.deploy('hello', HELLO, { allow_unauthenticated: true });
    const change = {
      display_name: 'Changed',
      domains: ['changed.example'],
      quotas: { functions: null, memory_mib: 512 },
      jwt: { audience: null },
      retention_days: 3,
    };
    const answer = await admin(`${PATH}/changing`, 'PATCH', change);
    expect(await answer.json()).toMatchObject({
      slug: 'changing',
      display_name: 'Changed',
      domains: ['changed.example'],
      quotas: { code_bytes: 1000, memory_mib: 512 },
      jwt: { issuer: 'one' },
      retention_days: 3,
      status: 'active',
    });
    const byHost = () =>
      exactRequest(running.node.url, {
        path: '/functions/v1/hello',
        headers: { host: 'CHANGED.example:99' },
      });
    expect((await byHost()).body.toString()).toBe('hello');
    expect((await admin(`${PATH}/changing`, 'PATCH', { domains: [] })).status).toBe(200);
    expect((await byHost()).status).toBe(404);

    const entries = await audit(tenant, '?action=tenant.update');
    expect(entries.map(({ details }) => details)).toEqual([
      { fields: ['domains'] },
      { fields: ['display_name', 'domains', 'quotas', 'jwt', 'retention_days'] },
    ]);
    expect(entries[0]).toMatchObject({ actor_kind: 'admin', subject: 'changing', address: '127.0.0.1' });
  });

  it.each([
    [{ quotas: { functions: 'many' } }, 'quotas.functions'],
    [{ slug: 'other' }, 'slug'],
    [{ status: 'deleting' }, 'status'],
    [{ domains: ['x.functions.test'] }, 'domains.0'],
    [{ retention_days: 99999 }, 'retention_days'],
  ])('is refused: %j', async (change, field) => {
    expect(await refusal(admin(`${PATH}/default`, 'PATCH', change))).toMatchObject({
      status: 400,
      fields: [field],
    });
  });

  it('needs a tenant', async () => {
    expect((await refusal(admin(`${PATH}/nobody`, 'PATCH', {}))).status).toBe(404);
    expect((await refusal(admin(`${PATH}/nobody`, 'DELETE'))).status).toBe(404);
    expect((await refusal(admin(`${PATH}/${'x'.repeat(300)}`))).status).toBe(404);
  });

  it('neither suspends nor deletes the default tenant', async () => {
    expect((await refusal(admin(`${PATH}/default`, 'PATCH', { status: 'suspended' }))).status).toBe(409);
    expect((await refusal(admin(`${PATH}/default`, 'DELETE'))).status).toBe(409);
    expect((await running.node.api('/api/v1/functions')).status).toBe(200);
  });
});

describe('a suspended tenant', () => {
  it('is served to nobody, loses its processes, stays the admin’s to manage, and comes back as it was', async () => {
    const tenant = await running.tenant('pausing');
    await tenant.deploy('hello', "export default () => 'hello of the pausing tenant';");
    expect((await tenant.call('hello')).status).toBe(200);
    const pid = Number(running.node.process.pid);
    const processes = () => denoProcessesOf(pid, 'of the pausing tenant').length;
    await until(() => processes() === 1);

    expect((await admin(`${PATH}/pausing`, 'PATCH', { status: 'suspended' })).status).toBe(200);
    expect((await refusal(tenant.call('hello'))).status).toBe(403);
    expect((await refusal(tenant.api('/api/v1/functions'))).status).toBe(403);
    await until(() => processes() === 0);
    const key = running.node.admin_key;
    expect((await tenant.api('/api/v1/functions', { key })).status).toBe(200);
    const changed = await tenant.api('/api/v1/functions/hello', {
      method: 'PATCH',
      key,
      json: { description: 'changed meanwhile' },
    });
    expect(changed.status).toBe(200);
    expect(processes()).toBe(0);

    expect((await admin(`${PATH}/pausing`, 'PATCH', { status: 'active' })).status).toBe(200);
    expect((await tenant.call('hello')).status).toBe(200);
    const actions = (await audit(tenant)).map(({ action }) => action);
    expect(actions).toEqual([
      'tenant.activate',
      'function.update',
      'tenant.suspend',
      'function.create',
      'tenant.create',
    ]);
  });
});

describe('a deletion', () => {
  async function furnished(slug: string): Promise<TestTenant & { execution: string }> {
    const tenant = await running.tenant(slug, { domains: [`${slug}.example`] });
    await tenant.deploy('hello', HELLO, { routes: ['/hello'] });
    await tenant.deploy('gone', HELLO);
    await tenant.api('/api/v1/functions/hello', { method: 'PATCH', json: { code: `${HELLO} // two` } });
    const execution = (await tenant.call('hello')).headers.get('x-execution-id') ?? '';
    await tenant.call('gone');
    await tenant.api('/api/v1/functions/gone', { method: 'DELETE' });
    for (const path of ['/api/v1/secrets/A', '/api/v1/secrets/A?function=hello'])
      expect((await tenant.api(path, { method: 'PUT', json: { value: 'a secret' } })).status).toBe(201);
    for (const json of [
      { kind: 'service', name: 'one' },
      { kind: 'api', name: 'two', scopes: ['read:functions'] },
    ])
      expect((await tenant.api('/api/v1/keys', { method: 'POST', json })).status).toBe(201);
    await running.sql(`
      insert into quota_windows (tenant, quota, starts_at) values ('${slug}', 'day', now());
      insert into quota_gauges values (gen_random_uuid(), '${slug}', 1, 1, 128, now())`);
    return { ...tenant, execution };
  }

  /** Every table with a tenant's rows, but for the audit log. */
  async function traces(slug: string): Promise<Record<string, number>> {
    const tables = await running.sql(`
      select c.table_name as name from information_schema.columns c
      join information_schema.tables t on t.table_name = c.table_name and t.table_schema = c.table_schema
      where c.column_name = 'tenant' and c.table_schema = current_schema() and c.table_name <> 'audit'
        and t.table_type = 'BASE TABLE'`);
    expect(tables.length).toBeGreaterThan(8);
    const found: Record<string, number> = {};
    for (const { name } of tables) {
      const [row] = await running.sql(`select count(*)::int as n from ${name} where tenant = '${slug}'`);
      if (Number(row?.n) > 0) found[String(name)] = Number(row?.n);
    }
    return found;
  }

  it('leaves nothing but the audit log, and the slug finds nothing of the old tenant', async () => {
    const tenant = await furnished('ending');
    await running.node.api('/api/v1/usage'); // writes what is still counted in memory
    expect(Object.keys(await traces('ending')).length).toBeGreaterThan(8);

    const answer = await admin(`${PATH}/ending`, 'DELETE');
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      deleted: { functions: 2, versions: 3, executions: 2, keys: 2, secrets: 2, domains: 1, usage: 2 },
    });
    expect(await traces('ending')).toEqual({});
    expect((await admin(`${PATH}/ending`)).status).toBe(404);
    expect((await refusal(tenant.call('hello'))).status).toBe(404);
    expect((await admin(`/t/ending/api/v1/functions`)).status).toBe(404);

    const again = await running.tenant('ending', { domains: ['ending.example'] });
    expect(await (await again.api('/api/v1/functions')).json()).toEqual([]);
    expect((await refusal(again.call('hello'))).status).toBe(404);
    expect((await refusal(again.call('../../hello'))).status).toBe(404);
    expect((await again.api(`/api/v1/executions/${tenant.execution}`)).status).toBe(404);
    expect((await refusal(again.api('/api/v1/functions', { key: tenant.service }))).status).toBe(401);
    expect(await (await again.api('/api/v1/usage')).json()).toMatchObject({ usage: [{ calls: 0 }] });
    expect((await audit(again)).map(({ action }) => action)).toEqual(['tenant.create']);
    await again.deploy('hello', "export default () => 'another hello';");
    expect(await (await again.call('hello')).text()).toBe('another hello');

    // The platform's own view goes back to before.
    const all = AuditRecord.array().parse(
      await (await admin('/api/v1/audit?tenant=ending&limit=200')).json(),
    );
    expect(all.map(({ action }) => action)).toContain('tenant.delete');
    expect((await refusal(again.api('/api/v1/audit?tenant=default'))).status).toBe(403);
  });

  it('waits for calls in flight, and refuses new ones meanwhile', async () => {
    const tenant = await running.tenant('busy');
    await tenant.deploy('gated', await readFile(join(root, 'test/functions/waits_at_gate.js'), 'utf8'));
    const gate = await startGate();
    const inFlight = tenant.call('gated', { headers: { 'x-gate': gate.url, 'x-call': 'one' } });
    await until(() => gate.arrived.length === 1);
    const deleting = admin(`${PATH}/busy`, 'DELETE');
    await until(async () => /deleting/.test(await (await admin(`${PATH}/busy`)).text()));
    await until(async () => (await tenant.call('nothing')).status === 403);
    expect((await tenant.call('gated')).status).toBe(403);
    expect(await refusal(admin(`${PATH}/busy`, 'PATCH', { status: 'active' }))).toMatchObject({
      status: 409,
    });
    gate.open();
    expect((await inFlight).status).toBe(200);
    expect(await (await deleting).json()).toMatchObject({ deleted: { functions: 1, executions: 1 } });
    expect(await traces('busy')).toEqual({});
    await gate.stop();
  });

  it('that broke off half way leaves the tenant unserved, and finishes when it is said again', async () => {
    const tenant = await furnished('stubborn');
    // The rows of the functions go first; then the database fails.
    await running.sql(`
      create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
      create trigger refuse before delete on api_keys for each row when (old.tenant = 'stubborn') execute function refuse();`);
    expect((await refusal(admin(`${PATH}/stubborn`, 'DELETE'))).status).toBe(500);
    expect(await (await admin(`${PATH}/stubborn`)).json()).toMatchObject({
      status: 'deleting',
      usage: { functions: 0 },
    });
    expect((await refusal(tenant.call('hello'))).status).toBe(403);
    await running.restart();
    expect((await refusal(tenant.call('hello'))).status).toBe(403);

    await running.sql('drop trigger refuse on api_keys');
    const answer = await admin(`${PATH}/stubborn`, 'DELETE');
    expect(await answer.json()).toMatchObject({ deleted: { functions: 0, keys: 2, domains: 1 } });
    expect(await traces('stubborn')).toEqual({});
    const deletions = await admin('/api/v1/audit?tenant=stubborn&action=tenant.delete');
    expect(await deletions.json()).toHaveLength(1);
  });
});

describe('the audit log', () => {
  it('names who changed a function, from where and with which request', async () => {
    const tenant = await running.tenant('audited');
    await tenant.deploy('one', HELLO);
    const headers = { 'x-request-id': 'my-request' };
    await tenant.api('/api/v1/functions/one', { method: 'PATCH', json: { enabled: false }, headers });
    await tenant.api('/api/v1/functions/one', { method: 'DELETE' });
    const entries = await audit(tenant);
    expect(entries.map(({ action }) => action)).toEqual([
      'function.delete',
      'function.update',
      'function.create',
      'tenant.create',
    ]);
    expect(entries[1]).toMatchObject({
      tenant: 'audited',
      actor_kind: 'service_role',
      subject: 'one',
      address: '127.0.0.1',
      request_id: 'my-request',
      details: { fields: ['enabled'] },
    });
    const [, second] = await audit(tenant, '?limit=2');
    expect((await audit(tenant, `?before=${second?.id}`)).map(({ action }) => action)).toEqual([
      'function.create',
      'tenant.create',
    ]);
    expect(await audit(tenant, '?action=function.delete')).toHaveLength(1);
    for (const query of ['limit=0', 'before=x', 'before=99999999999999999999', 'action=DROP', 'tenant=A'])
      expect([query, (await tenant.api(`/api/v1/audit?${query}`)).status]).toEqual([query, 400]);
    for (const key of [tenant.anon, null])
      expect((await tenant.api('/api/v1/audit', { key })).status).toBe(key === null ? 401 : 403);
  });

  it('is only added to, also by the service’s own user', async () => {
    for (const statement of [
      "update audit set actor = 'nobody'",
      'delete from audit',
      'truncate audit',
      "update audit set at = now() - interval '500 days'",
    ])
      await expect(running.sql(statement)).rejects.toThrow('the audit log is only added to');
    expect(await running.sql('select from audit limit 1')).toHaveLength(1);
  });
});
