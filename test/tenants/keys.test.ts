/** API and service keys: made, used, revoked; and the command line that does it. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { KeyCreated, KeyRecord } from '../../src/router/api/key_schemas.js';
import { SCOPES } from '../../src/router/principal.js';
import { newKey } from '../../src/tokens.js';
import { errorOf } from '../support/answers.js';
import { runCli } from '../support/cli.js';
import { exactRequest } from '../support/exact_request.js';
import { root, until } from '../support/node.js';
import { startTenantNode, type TenantNode, type TestTenant } from '../support/tenants.js';

const PATH = '/api/v1/keys';

let running: TenantNode;
let acme: TestTenant;
let other: TestTenant;

beforeAll(async () => {
  running = await startTenantNode({
    HEARTH_JWT_SECRET: 'a secret from the environment',
    HEARTH_TRUSTED_PROXIES: '127.0.0.1',
  });
  acme = await running.tenant('acme');
  other = await running.tenant('other');
  const code = await readFile(join(root, 'test/functions/default_function.ts'), 'utf8');
  for (const name of ['whoami', 'also']) await acme.deploy(name, code);
  await acme.deploy('open', code, { allow_unauthenticated: true });
  await other.deploy('whoami', code);
});
afterAll(() => running?.stop());

type Made = z.output<typeof KeyCreated>;

const post = (tenant: TestTenant, json: Record<string, unknown>, key?: string) =>
  tenant.api(PATH, { method: 'POST', json, ...(key === undefined ? {} : { key }) });

async function make(tenant: TestTenant, json: Record<string, unknown> = {}): Promise<Made> {
  const answer = await post(tenant, { name: 'a key', scopes: ['execute:functions'], ...json });
  expect(answer.status, await answer.clone().text()).toBe(201);
  return KeyCreated.parse(await answer.json());
}

const makeService = (tenant: TestTenant, json: Record<string, unknown> = {}) =>
  make(tenant, { kind: 'service', scopes: [], ...json });

async function list(tenant: TestTenant): Promise<z.output<typeof KeyRecord>[]> {
  return KeyRecord.array().parse(await (await tenant.api(PATH)).json());
}

/** `<role> of <tenant>`, as the function saw its caller, or the status and code of the refusal. On a new connection. */
async function whoami(headers: Record<string, string>, where = '', name = 'whoami'): Promise<string> {
  const answer = await exactRequest(running.node.url, { path: `${where}/functions/v1/${name}`, headers });
  const seen = JSON.parse(answer.body.toString());
  return answer.status === 200
    ? `${seen.user_role ?? 'nobody'} of ${seen.tenant}`
    : `${answer.status} ${seen.code}`;
}

/** On enough new connections that each of the two routers has some. */
async function everywhere(headers: Record<string, string>): Promise<string> {
  const seen = new Set<string>();
  for (let call = 0; call < 8; call++) seen.add(await whoami(headers));
  return [...seen].join(', ');
}

/** Where nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('a key', () => {
  it('is shown once, when it is made, and stored as its hash', async () => {
    const expires_at = '2099-01-31T12:00:00.000Z';
    const given = {
      name: 'for the shop',
      kind: 'api' as const,
      scopes: ['execute:functions', 'read:functions'],
      functions: ['whoami'],
      source_ranges: ['127.0.0.0/8', '2001:db8::1'],
    };
    const answer = await post(acme, { ...given, expires_at: '2099-01-31T13:00:00+01:00' });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const { key, ...record } = KeyCreated.parse(await answer.json());
    expect(key).toMatch(/^hth_api_[A-Za-z0-9_-]{43}$/);
    const { id, created_at } = record;
    expect(record).toEqual({
      ...given,
      ...{ id, created_at, expires_at },
      prefix: key.slice(0, 12),
      last_used_at: null,
      created_by: 'service_role',
    });
    expect((await list(acme))[0]).toEqual(record);
    const rows = await running.sql(
      `select hash, row_to_json(k)::text as row from api_keys k where id = '${id}'`,
    );
    expect(rows[0]?.hash).toEqual(createHash('sha256').update(key).digest());
    for (const table of ['api_keys', 'audit'])
      expect(JSON.stringify(await running.sql(`select row_to_json(t)::text from ${table} t`))).not.toContain(
        key.slice(12),
      );
  });

  it('is taken in every header that carries credentials', async () => {
    const { key } = await make(acme);
    const service = await makeService(acme);
    expect(service.key).toMatch(/^hth_svc_[A-Za-z0-9_-]{43}$/);
    for (const [text, role] of [
      [key, 'anon'],
      [service.key, 'service_role'],
    ] as const) {
      const headers = [
        { 'x-api-key': text },
        { 'x-service-key': text },
        { authorization: `Bearer ${text}` },
        { apikey: text },
      ];
      for (const each of headers) expect(await whoami(each)).toBe(`${role} of acme`);
    }
  });

  it('of another tenant is a 403, and one that nobody has a 401', async () => {
    const { key } = await make(acme);
    const service = await makeService(acme);
    for (const text of [key, service.key]) {
      expect(await whoami({ 'x-api-key': text }, '/t/acme')).toMatch(/ of acme$/);
      expect(await whoami({ 'x-api-key': text }, '/t/other')).toBe('403 FORBIDDEN');
      expect(await errorOf(await other.api('/api/v1/functions', { key: text }))).toMatchObject({
        status: 403,
      });
    }
    for (const text of [newKey('api'), newKey('service'), 'hth_api_', `${key}x`, key.slice(0, -1)])
      for (const where of ['', '/t/acme', '/t/nobody'])
        expect(await whoami({ 'x-api-key': text }, where)).toBe(
          where === '/t/nobody' ? '404 NOT_FOUND' : '401 UNAUTHENTICATED',
        );
  });

  it('calls with its scope, and only the functions that it lists', async () => {
    const reads = await make(acme, { scopes: ['read:functions'] });
    expect(await whoami({ 'x-api-key': reads.key })).toBe('403 FORBIDDEN');
    const some = await make(acme, { functions: ['also', 'not_there_yet'] });
    expect(await whoami({ 'x-api-key': some.key }, '', 'also')).toBe('anon of acme');
    expect(await whoami({ 'x-api-key': some.key })).toBe('403 FORBIDDEN');
    const invoked = await acme.api('/api/v1/functions/whoami/invoke', { method: 'POST', key: some.key });
    expect(await errorOf(invoked)).toMatchObject({ status: 403 });
  });

  it('manages with its scopes alone', async () => {
    const reads = await make(acme, { scopes: ['read:functions'] });
    const change = (key: string) =>
      acme.api('/api/v1/functions/also', { method: 'PATCH', key, json: { description: 'changed' } });
    expect((await acme.api('/api/v1/functions', { key: reads.key })).status).toBe(200);
    expect(await errorOf(await change(reads.key))).toMatchObject({ status: 403, code: 'FORBIDDEN' });
    const writes = await make(acme, { scopes: ['write:functions'] });
    expect((await change(writes.key)).status).toBe(200);
    expect(await errorOf(await acme.api(PATH, { key: writes.key }))).toMatchObject({ status: 403 });
    const all = await make(acme, { scopes: [...SCOPES] });
    const mint = await acme.api('/api/v1/tokens', { method: 'POST', key: all.key, json: { role: 'anon' } });
    expect(await errorOf(mint)).toMatchObject({ status: 403 });
    const service = await makeService(acme);
    for (const path of ['/api/v1/functions', PATH])
      expect((await acme.api(path, { key: service.key })).status).toBe(200);
  });

  it('counts where it may come from, by the address that a trusted proxy tells', async () => {
    const { key } = await make(acme, { source_ranges: ['192.0.2.0/24', '2001:db8::/32'] });
    const from = (address?: string) =>
      whoami({ 'x-api-key': key, ...(address === undefined ? {} : { 'x-forwarded-for': address }) });
    expect(await from('192.0.2.7')).toBe('anon of acme');
    expect(await from('2001:db8::7')).toBe('anon of acme');
    for (const address of [
      undefined,
      '192.0.3.7',
      '192.0.2.7, 198.51.100.1',
      '192.0.2.7x',
      '::ffff:192.0.3.7',
    ])
      expect(await from(address), address).toBe('403 FORBIDDEN');
  });

  it('is refused when it has expired', async () => {
    const made = await make(acme, { expires_at: new Date(Date.now() + 3_600_000).toISOString() });
    expect(await everywhere({ 'x-api-key': made.key })).toBe('anon of acme');
    await running.sql(`update api_keys set expires_at = now() where id = '${made.id}'`);
    await until(async () => (await everywhere({ 'x-api-key': made.key })) === '401 UNAUTHENTICATED', 10_000);
    expect(await errorOf(await acme.api('/api/v1/functions', { key: made.key }))).toMatchObject({
      error: 'The key has expired.',
    });
  });

  it('is refused everywhere within 10 s of being revoked, and once only can it be', async () => {
    const made = await make(acme);
    const kept = await make(acme);
    expect(await everywhere({ 'x-api-key': made.key })).toBe('anon of acme');
    const revoke = () => acme.api(`${PATH}/${made.id}`, { method: 'DELETE' });
    expect((await revoke()).status).toBe(204);
    await until(async () => (await everywhere({ 'x-api-key': made.key })) === '401 UNAUTHENTICATED', 10_000);
    expect(await everywhere({ 'x-api-key': kept.key })).toBe('anon of acme');
    expect((await list(acme)).map(({ id }) => id)).not.toContain(made.id);
    expect(await errorOf(await revoke())).toMatchObject({ status: 404, code: 'NOT_FOUND' });
  });

  it('is neither seen nor revoked by another tenant', async () => {
    const made = await make(acme);
    for (const id of [made.id, '0', 'not-an-id'])
      expect(await errorOf(await other.api(`${PATH}/${id}`, { method: 'DELETE' }))).toMatchObject({
        status: 404,
      });
    expect((await list(other)).map(({ id }) => id)).not.toContain(made.id);
    expect(await whoami({ 'x-api-key': made.key })).toBe('anon of acme');
  });

  it('is one that a function for everyone does without', async () => {
    expect(await whoami({ 'x-api-key': newKey('api') }, '/t/acme', 'open')).toBe('nobody of acme');
  });
});

describe('making a key', () => {
  it('says what is wrong, by field', async () => {
    const scopes = ['execute:functions'];
    const wrong: [Record<string, unknown>, string][] = [
      [{ scopes }, 'name'],
      [{ name: '', scopes }, 'name'],
      [{ name: 'x'.repeat(101), scopes }, 'name'],
      [{ name: 'a\nb', scopes }, 'name'],
      [{ name: 'a' }, 'scopes'],
      [{ name: 'a', scopes: [] }, 'scopes'],
      [{ name: 'a', scopes: ['everything'] }, 'scopes.0'],
      [{ name: 'a', kind: 'admin', scopes }, 'kind'],
      [{ name: 'a', kind: 'service', scopes }, 'scopes'],
      [{ name: 'a', kind: 'service', functions: ['f'] }, 'functions'],
      [{ name: 'a', scopes, functions: [] }, 'functions'],
      [{ name: 'a', scopes, functions: ['not a name'] }, 'functions.0'],
      [{ name: 'a', scopes, source_ranges: [] }, 'source_ranges'],
      [{ name: 'a', scopes, source_ranges: ['192.0.2.0/33'] }, 'source_ranges.0'],
      [{ name: 'a', scopes, source_ranges: ['example.com'] }, 'source_ranges.0'],
      [{ name: 'a', scopes, expires_at: 'tomorrow' }, 'expires_at'],
      [{ name: 'a', scopes, expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
      [{ name: 'a', scopes, key: 'mine' }, 'key'],
    ];
    for (const [json, field] of wrong) {
      const error = await errorOf(await post(acme, json));
      expect(error, JSON.stringify(json)).toMatchObject({ status: 400, details: [{ field }] });
    }
    expect(await errorOf(await acme.api(PATH, { method: 'POST', body: '{' }))).toMatchObject({ status: 400 });
  });

  it('is not for anon and authenticated, nor for other tenants’ keys', async () => {
    const json = { name: 'a', scopes: ['execute:functions'] };
    for (const key of [acme.anon, other.service, (await makeService(other)).key])
      expect(await errorOf(await post(acme, json, key))).toMatchObject({ status: 403, code: 'FORBIDDEN' });
    const nobody = await acme.api(PATH, { method: 'POST', key: null, json });
    expect(await errorOf(nobody)).toMatchObject({ status: 401 });
  });

  it('gives an API key’s maker no more than it has', async () => {
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    const scopes = ['write:keys', 'execute:functions'];
    const limited = { scopes, functions: ['also'], source_ranges: ['127.0.0.1'], expires_at: soon };
    const maker = await make(acme, limited);
    const fits = { name: 'a', ...limited, scopes: ['execute:functions'] };
    const made = await post(acme, fits, maker.key);
    expect(made.status).toBe(201);
    const { created_by, key } = KeyCreated.parse(await made.json());
    expect(created_by).toBe(maker.id);
    expect(await whoami({ 'x-api-key': key }, '', 'also')).toBe('anon of acme');
    for (const more of [
      { kind: 'service', scopes: [], functions: null },
      { scopes: ['read:functions'] },
      { scopes: [...scopes, 'write:functions'] },
      { functions: null },
      { functions: ['also', 'whoami'] },
      { source_ranges: null },
      { source_ranges: ['127.0.0.0/8'] },
      { expires_at: null },
      { expires_at: '2099-01-01T00:00:00Z' },
    ]) {
      const error = await errorOf(await post(acme, { ...fits, ...more }, maker.key));
      expect(error, JSON.stringify(more)).toMatchObject({ status: 403, code: 'FORBIDDEN' });
    }
  });

  it('lets an API key revoke API keys, and no service keys', async () => {
    const maker = await make(acme, { scopes: ['write:keys'] });
    const [api, service] = [await make(acme), await makeService(acme)];
    const revoke = (id: string) => acme.api(`${PATH}/${id}`, { method: 'DELETE', key: maker.key });
    expect((await revoke(api.id)).status).toBe(204);
    expect(await errorOf(await revoke(service.id))).toMatchObject({ status: 403 });
    expect(await whoami({ 'x-service-key': service.key })).toBe('service_role of acme');
  });

  it('ends at 1,000 of a tenant, also for many at a time', async () => {
    const tenant = await running.tenant('many');
    await running.sql(`insert into api_keys (tenant, kind, name, prefix, hash, scopes)
      select 'many', 'api', 'one of many', 'hth_api_', sha256(n::text::bytea), '{execute:functions}'
      from generate_series(1, 997) n`);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => post(tenant, { name: 'a', scopes: ['execute:functions'] })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 409, 409, 409, 409, 409]);
    const refused = answers.find(({ status }) => status === 409);
    expect(await errorOf(refused as Response)).toMatchObject({ code: 'CONFLICT' });
    expect(await list(tenant)).toHaveLength(1_000);
  });

  it('is in the audit log, as is revoking', async () => {
    const made = await make(acme, { name: 'noted' });
    await acme.api(`${PATH}/${made.id}`, { method: 'DELETE' });
    const rows = await running.sql(
      `select action, actor_kind, details from audit where tenant = 'acme' and subject = '${made.id}' order by id`,
    );
    expect(rows).toEqual([
      {
        action: 'key.create',
        actor_kind: 'service_role',
        details: { name: 'noted', kind: 'api', scopes: ['execute:functions'] },
      },
      { action: 'key.delete', actor_kind: 'service_role', details: { name: 'noted' } },
    ]);
  });
});

describe('the command line', () => {
  const hearth = (...args: string[]) => runCli(args, { HEARTH_DATA_DIR: running.node.dataDir });

  it('prints the keys of the default tenant, and makes those of others', async () => {
    expect(await hearth('keys', 'anon')).toEqual({
      status: 0,
      stdout: `${running.node.anon_key}\n`,
      stderr: '',
    });
    expect((await hearth('keys', 'service')).stdout).toBe(`${running.node.service_key}\n`);
    const anon = (await hearth('keys', 'anon', '--tenant', 'acme')).stdout.trim();
    expect(await whoami({ authorization: `Bearer ${anon}` })).toBe('anon of acme');
    const service = (await hearth('--tenant', 'acme', 'keys', 'service')).stdout.trim();
    expect(await whoami({ authorization: `Bearer ${service}` })).toBe('service_role of acme');
  });

  it('mints a token for a user', async () => {
    const made = await hearth(
      ...['keys', 'jwt', '--tenant', 'acme', '--role', 'authenticated', '--sub', 'u1', '--email', 'a@b.c'],
      ...['--expires', '2h', '--claim', 'plan=gold', 'seats=3'],
    );
    expect(made).toMatchObject({ status: 0, stderr: '' });
    const { iat = 0, exp, ...claims } = decodeJwt(made.stdout.trim());
    expect(exp).toBe(iat + 7_200);
    expect(claims).toMatchObject({
      role: 'authenticated',
      sub: 'u1',
      email: 'a@b.c',
      plan: 'gold',
      seats: 3,
    });
    expect(await whoami({ authorization: `Bearer ${made.stdout.trim()}` })).toBe('authenticated of acme');
  });

  it('makes, lists and revokes keys, as whom it is told to be', async () => {
    const env = { HEARTH_URL: running.node.url, HEARTH_KEY: acme.service };
    const run = (...args: string[]) => runCli(['keys', ...args], env, tmpdir());
    const made = await run(
      'create',
      '--name',
      'from afar',
      '--scope',
      'execute:functions',
      '--expires',
      '30d',
    );
    expect(made).toMatchObject({ status: 0, stderr: '' });
    const key = made.stdout.trim();
    expect(await whoami({ 'x-api-key': key })).toBe('anon of acme');
    const listed = await run('list');
    expect(listed.stdout).toMatch(/^ID +KIND +NAME/);
    const line = listed.stdout.split('\n').find((each) => each.includes('from afar')) ?? '';
    expect(line).toContain(key.slice(0, 12));
    expect(listed.stdout).not.toContain(key.slice(12));
    const [id = ''] = line.split(' ');
    expect(KeyRecord.array().parse(JSON.parse((await run('list', '--json')).stdout))[0]?.id).toBe(id);
    expect(await run('revoke', id)).toMatchObject({ status: 0 });
    await until(async () => (await everywhere({ 'x-api-key': key })) === '401 UNAUTHENTICATED', 10_000);
  });

  it('replaces a tenant’s secret', async () => {
    const tenant = await running.tenant('turning');
    const turned = await hearth('keys', 'rotate', '--tenant', 'turning', '--grace', '0');
    expect(turned).toMatchObject({ status: 0, stderr: '' });
    const { service_key } = JSON.parse(turned.stdout);
    expect((await tenant.api('/api/v1/functions')).status).toBe(401);
    expect((await tenant.api('/api/v1/functions', { key: service_key })).status).toBe(200);
    // The environment's stands.
    const refused = await hearth('keys', 'rotate');
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^hearth: HEARTH_JWT_SECRET says .*\(CONFLICT\)\n$/);
  });

  it('fails with one line, and 1 for what cannot be done, 2 for what is not said right', async () => {
    const nowhere = await mkdtemp(join(tmpdir(), 'hearth-test-'));
    const closed = await closedPort();
    try {
      const failing: [number, RegExp, string[], Record<string, string>?][] = [
        [1, /credentials\.json is not there/, ['keys', 'anon'], { HEARTH_DATA_DIR: nowhere }],
        [
          1,
          /does not answer: ECONNREFUSED/,
          ['keys', 'list'],
          { HEARTH_URL: `http://127.0.0.1:${closed}`, HEARTH_KEY: 'k' },
        ],
        [1, /\(UNAUTHENTICATED\)/, ['keys', 'list', '--url', running.node.url, '--key', 'nonsense']],
        [1, /\(FORBIDDEN\)/, ['keys', 'list', '--key', acme.anon]],
        [1, /\(NOT_FOUND\)/, ['keys', 'list', '--tenant', 'nobody']],
        [1, /\(NOT_FOUND\)/, ['keys', 'revoke', 'nothing']],
        [1, /scopes.*\(INVALID_REQUEST\)/, ['keys', 'create', '--name', 'a']],
        [2, /no URL/, ['keys', 'list', '--url', 'localhost', '--key', 'k']],
        [2, /give --key/, ['keys', 'list', '--url', 'http://127.0.0.1:1']],
        [2, /no duration/, ['keys', 'jwt', '--expires', 'soon']],
        [2, /choices/, ['keys', 'jwt', '--role', 'root']],
        [2, /name=value/, ['keys', 'jwt', '--claim', 'plan']],
        [2, /--name/, ['keys', 'create']],
        [2, /unknown option/, ['keys', 'list', '--everything']],
        [2, /unknown command/, ['keys', 'steal']],
      ];
      for (const [status, said, args, env = {}] of failing) {
        const run = await runCli(args, { HEARTH_DATA_DIR: running.node.dataDir, ...env });
        expect([run.status, run.stdout], args.join(' ')).toEqual([status, '']);
        expect(run.stderr, args.join(' ')).toMatch(/^hearth: [^\n]+\n$/);
        expect(run.stderr).toMatch(said);
      }
      await writeFile(join(nowhere, 'credentials.json'), '{');
      expect((await runCli(['keys', 'list'], { HEARTH_DATA_DIR: nowhere })).stderr).toMatch(/is damaged/);
    } finally {
      await rm(nowhere, { recursive: true });
    }
  });

  it('explains itself', async () => {
    for (const args of [['--help'], ['keys', '--help'], ['keys', 'create', '--help']]) {
      const { status, stdout, stderr } = await hearth(...args);
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/^Usage: hearth/);
      expect(stdout).toContain('--tenant <slug>');
    }
    expect((await hearth('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await hearth()).status).toBe(2);
  });
});

it('is told when a key was last used, after a while and at the latest when the node stops', async () => {
  const made = await make(acme);
  const before = Date.now();
  expect(await everywhere({ 'x-api-key': made.key })).toBe('anon of acme');
  await running.restart();
  const found = (await list(acme)).find(({ id }) => id === made.id);
  expect(Date.parse(found?.last_used_at ?? '')).toBeGreaterThanOrEqual(before);
  expect(running.node.output()).not.toContain(made.key);
});

it('without the database: a key that is not known is a 503, and known tokens go on', async () => {
  const made = await make(acme);
  expect(await whoami({ authorization: `Bearer ${acme.anon}` })).toBe('anon of acme');
  await running.pauseDatabase();
  const answer = await acme.api('/functions/v1/whoami', { key: newKey('api') });
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await errorOf(answer)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
  expect(await whoami({ 'x-api-key': newKey('api') })).toBe('503 UNAVAILABLE');
  expect(await whoami({ authorization: `Bearer ${acme.anon}` })).toBe('anon of acme');
  await running.resumeDatabase();
  await until(async () => (await everywhere({ 'x-api-key': made.key })) === 'anon of acme');
});
