/** Tokens: what verifies for which tenant, whoever signed it; how they are minted, and how their secret is replaced. */
import { createHmac } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeJwt, exportSPKI, importJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { signToken } from '../../src/tokens.js';
import { errorOf } from '../support/answers.js';
import { exactRequest } from '../support/exact_request.js';
import { type Issuer, type JwksServer, startJwksServer } from '../support/jwks_server.js';
import { root, until } from '../support/node.js';
import { sendRaw } from '../support/raw_socket.js';
import { startTenantNode, type TenantNode, type TestTenant } from '../support/tenants.js';

const SECRET = 'what acme signs its tokens with';
const AUDIENCE = 'hearth-functions';
const Minted = z.strictObject({ token: z.string(), expires_at: z.iso.datetime() });

/** Calls whoami with the token of its environment. */
const CALLS = `export default async () => {
  const headers = { authorization: 'Bearer ' + Deno.env.get('HEARTH_TOKEN') };
  const { status } = await fetch(Deno.env.get('HEARTH_URL') + '/functions/v1/whoami', { headers });
  return { pid: Deno.pid, status };
};`;

let issuers: JwksServer;
let main: Issuer;
let acmes: Issuer;
let running: TenantNode;
let acme: TestTenant;
let other: TestTenant;

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const own = (claims: Record<string, unknown> = {}) =>
  signToken(SECRET, { role: 'authenticated', sub: 'u1', tenant: 'acme', exp: inAnHour(), ...claims });

beforeAll(async () => {
  issuers = await startJwksServer();
  main = await issuers.issuer('main', 'RS256');
  acmes = await issuers.issuer('acmes', 'ES256');
  running = await startTenantNode({
    HEARTH_DOMAIN: 'functions.test',
    HEARTH_JWKS_URL: main.url,
    HEARTH_JWT_ISSUER: main.url,
    HEARTH_JWT_AUDIENCE: AUDIENCE,
  });
  const jwt = { jwks_url: acmes.url, issuer: acmes.url };
  acme = await running.tenant('acme', { jwt, jwt_secret: SECRET, domains: ['api.acme.example'] });
  other = await running.tenant('other');
  const code = await readFile(join(root, 'test/functions/default_function.ts'), 'utf8');
  await running.node.deploy('whoami', code);
  await running.node.deploy('open', code, { allow_unauthenticated: true });
  await acme.deploy('whoami', code);
  await other.deploy('whoami', code);
  await other.deploy('calls', CALLS, { max_instances: 1 });
});
afterAll(async () => {
  await running?.stop();
  await issuers?.stop();
});

/** Who the function whoami took the caller for, `<role> <user> of <tenant>`, or the status and code of the refusal. */
async function whoami(token: string, where = '', headers = {}, name = 'whoami'): Promise<string> {
  const answer = await exactRequest(running.node.url, {
    path: `${where}/functions/v1/${name}`,
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  const seen = JSON.parse(answer.body.toString());
  if (answer.status !== 200) return `${answer.status} ${seen.code}`;
  return `${seen.user_role ?? 'nobody'} ${seen.user_id ?? '-'} of ${seen.tenant}`;
}

/** On enough new connections that each of the routers has some. */
async function everywhere(token: string, where = ''): Promise<string> {
  const seen = new Set<string>();
  for (let call = 0; call < 8; call++) seen.add(await whoami(token, where));
  return [...seen].join(', ');
}

async function mint(tenant: TestTenant, json: unknown, key?: string) {
  return await tenant.api('/api/v1/tokens', { method: 'POST', json, ...(key === undefined ? {} : { key }) });
}

describe('a token of another issuer', () => {
  it('is one of the default tenant by HEARTH_JWKS_URL, with issuer and audience of the settings', async () => {
    expect(await whoami(await main.sign({ aud: AUDIENCE, email: 'a@b.c' }))).toBe(
      'authenticated u1 of default',
    );
    expect(await whoami(await main.sign({ aud: [AUDIENCE, 'more'], role: 'anon' }))).toBe(
      'anon - of default',
    );
    expect(await whoami(await main.sign({ aud: 'other' }))).toBe('401 UNAUTHENTICATED');
    expect(await whoami(await main.sign())).toBe('401 UNAUTHENTICATED');
    expect(await whoami(await main.sign({ aud: AUDIENCE, iss: 'https://evil.example' }))).toBe(
      '401 UNAUTHENTICATED',
    );
  });

  it('is one of the tenant whose issuer signed it, and refused at every other', async () => {
    const token = await acmes.sign();
    expect(await everywhere(token)).toBe('authenticated u1 of acme');
    expect(await everywhere(token, '/t/acme')).toBe('authenticated u1 of acme');
    for (const where of ['/t/other', '/t/default'])
      expect(await everywhere(token, where)).toBe('403 FORBIDDEN');
    expect(await whoami(await main.sign({ aud: AUDIENCE }), '/t/acme')).toBe('403 FORBIDDEN');
    // What one tenant's place was told does not count at another's.
    expect(await everywhere(token, '/t/acme')).toBe('authenticated u1 of acme');
  });

  it('is refused with 401 when it has expired, is not valid yet, or another one signed it', async () => {
    const now = Math.floor(Date.now() / 1000);
    expect(await whoami(await acmes.sign({ exp: now - 60 }))).toBe('401 UNAUTHENTICATED');
    expect(await whoami(await acmes.sign({ nbf: now + 60 }))).toBe('401 UNAUTHENTICATED');
    expect(await whoami(await main.sign({ iss: acmes.url }))).toBe('401 UNAUTHENTICATED');
    expect(await whoami(await main.sign({ iss: acmes.url }, { kid: 'acmes 1' }), '/t/acme')).toBe(
      '401 UNAUTHENTICATED',
    );
  });

  it('may not manage; where its issuer says service_role, it may', async () => {
    const list = async (token: string) => (await acme.api('/api/v1/functions', { key: token })).status;
    expect(await list(await acmes.sign())).toBe(403);
    expect(await list(await acmes.sign({ role: 'service_role' }))).toBe(200);
  });

  it('counts no longer when the tenant has another issuer', async () => {
    const token = await acmes.sign({ sub: 'u2' });
    expect(await everywhere(token, '/t/acme')).toBe('authenticated u2 of acme');
    const change = (jwt: unknown) =>
      running.node.api('/api/v1/admin/tenants/acme', { method: 'PATCH', key: 'admin', json: { jwt } });
    expect((await change({ issuer: 'https://elsewhere.example' })).status).toBe(200);
    expect(await everywhere(token, '/t/acme')).toBe('401 UNAUTHENTICATED');
    expect((await change({ issuer: acmes.url })).status).toBe(200);
    expect(await everywhere(token, '/t/acme')).toBe('authenticated u2 of acme');
  });
});

describe('a token that is forged', () => {
  const bad = async (token: string) => {
    for (const where of ['', '/t/acme', '/t/default'])
      expect(await whoami(token, where)).toBe('401 UNAUTHENTICATED');
  };
  const claims = () => ({ role: 'service_role', tenant: 'acme', iss: acmes.url, sub: 'u1', exp: inAnHour() });

  it('without a signature or by alg none is refused', async () => {
    const [, , signature] = own().split('.');
    for (const alg of ['none', 'None', 'NONE', '']) {
      await bad(`${encode({ alg, typ: 'JWT' })}.${encode(claims())}.`);
      await bad(`${encode({ alg, typ: 'JWT' })}.${encode(claims())}.${signature}`);
    }
    await bad(`${encode({ alg: 'HS256' })}.${encode(claims())}.`);
    await bad(`${encode({ alg: 'ES256', kid: 'acmes 1' })}.${encode(claims())}.`);
  });

  it('with a public key as its secret is refused', async () => {
    const { keys } = (await (await fetch(main.url)).json()) as { keys: Record<string, string>[] };
    const [jwk = {}] = keys;
    const spki = await exportSPKI((await importJWK(jwk, 'RS256')) as never);
    for (const secret of [spki, spki.trim(), JSON.stringify(jwk), jwk.n ?? '']) {
      await bad(signToken(secret, claims()));
      await bad(signToken(secret, { role: 'service_role', iss: main.url, aud: AUDIENCE, exp: inAnHour() }));
      const head = `${encode({ alg: 'RS256', kid: 'main 1' })}.${encode({ ...claims(), iss: main.url, aud: AUDIENCE })}`;
      await bad(`${head}.${createHmac('sha256', secret).update(head).digest('base64url')}`);
    }
  });

  it('with keys or addresses of its own is refused, and nothing is fetched from there', async () => {
    const evil = await issuers.issuer('evil', 'ES256');
    const { keys } = (await (await fetch(evil.url)).json()) as { keys: Record<string, string>[] };
    const before = evil.asked;
    for (const header of [{ jwk: keys[0] }, { jku: evil.url }, { x5u: evil.url }, { kid: evil.url }])
      await bad(await evil.sign({ ...claims(), iss: acmes.url }, header));
    expect(evil.asked).toBe(before);
  });

  it('truncated, oversized or changed is refused', async () => {
    const token = own();
    expect(await whoami(token)).toBe('authenticated u1 of acme');
    for (const cut of [1, 10, 43, 44, 100]) await bad(token.slice(0, -cut));
    const [head, , signature] = token.split('.');
    await bad(`${head}.${encode(claims())}.${signature}`);
    await bad(own({ pad: 'x'.repeat(9000) }));
    await bad('hth_svc_');
  });
});

describe('a token that a tenant signed', () => {
  it('is refused at every other tenant, and verifies by no other’s secret', async () => {
    expect(await whoami(own(), '/t/other')).toBe('403 FORBIDDEN');
    expect(await whoami(own({ tenant: 'other' }))).toBe('401 UNAUTHENTICATED');
    expect(await whoami(own({ tenant: 'nobody' }))).toBe('401 UNAUTHENTICATED');
    expect(await whoami(own({ tenant: undefined }), '/t/other')).toBe('401 UNAUTHENTICATED');
  });

  it('without the tenant’s name is held to its issuer', async () => {
    expect(await whoami(own({ tenant: undefined }), '/t/acme')).toBe('401 UNAUTHENTICATED');
    expect(await whoami(own({ tenant: undefined, iss: acmes.url }), '/t/acme')).toBe(
      'authenticated u1 of acme',
    );
  });
});

describe('keys of an issuer that cannot be had', () => {
  it('are 503 and not the token’s fault, and delay nobody else', async () => {
    const slow = await issuers.issuer('slow');
    slow.answer = () => {};
    const tenant = await running.tenant('slow', { jwt: { jwks_url: slow.url } });
    await tenant.deploy('whoami', 'export default () => ({ tenant: "slow" });');
    const order: string[] = [];
    const token = await slow.sign();
    const waiting = tenant.api('/functions/v1/whoami', { key: token }).then((answer) => {
      order.push('slow');
      return answer;
    });
    await until(() => slow.asked > 0);
    expect(await whoami(await acmes.sign({ sub: 'u3' }))).toBe('authenticated u3 of acme');
    expect(await whoami(own())).toBe('authenticated u1 of acme');
    expect(await whoami(tenant.anon)).toBe('nobody - of slow'); // its function does not tell
    order.push('others');
    const answer = await waiting;
    expect(order).toEqual(['others', 'slow']);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await errorOf(answer)).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
    // Nor is another tenant's function called instead, where only the credential tells whose it is.
    await running.node.api('/api/v1/admin/tenants/slow', {
      method: 'PATCH',
      key: 'admin',
      json: { jwt: { issuer: slow.url } },
    });
    for (const name of ['whoami', 'open', 'unknown'])
      expect(await whoami(token, '', {}, name)).toBe('503 UNAVAILABLE');
    expect(await whoami('nonsense', '', {}, 'open')).toBe('nobody - of default');
    expect(await whoami('nonsense', '', {}, 'unknown')).toBe('401 UNAUTHENTICATED');
  });
});

describe('whose a request is', () => {
  it.each([
    ['api.acme.example', 'acme'],
    ['API.Acme.Example', 'acme'],
    ['api.acme.example.', 'acme'],
    ['api.acme.example:8443', 'acme'],
    ['API.ACME.EXAMPLE.:80', 'acme'],
    ['acme.functions.test', 'acme'],
    ['ACME.Functions.Test.:1', 'acme'],
    ['functions.test', null],
    ['api.acme.example.evil.test', null],
    ['xapi.acme.example', null],
    ['acme.functions.test.evil.test', null],
  ])('is told by the host %s: %s', async (host, tenant) => {
    expect(await whoami(own(), '', { host })).toBe('authenticated u1 of acme');
    // A host that names a tenant is no way around whose a credential is.
    const expected = tenant === null ? 'anon - of other' : '403 FORBIDDEN';
    expect(await whoami(other.anon, '', { host })).toBe(expected);
    expect(await whoami(other.anon, '/t/acme', { host })).toBe('403 FORBIDDEN');
    if (tenant !== null) expect(await whoami(other.anon, '/t/other', { host })).toBe('403 FORBIDDEN');
  });

  it('is not told by two hosts, nor by a forwarded one', async () => {
    const request = (...lines: string[]) =>
      ['GET /functions/v1/whoami HTTP/1.1', `Authorization: Bearer ${other.anon}`, ...lines, '', ''].join(
        '\r\n',
      );
    const [two] = await sendRaw(
      running.node.url,
      request('Host: other.functions.test', 'Host: acme.functions.test'),
    );
    expect([two?.status, JSON.parse(two?.body ?? '').code]).toEqual([400, 'INVALID_REQUEST']);
    const [forwarded] = await sendRaw(
      running.node.url,
      request(
        'Host: other.functions.test',
        'X-Forwarded-Host: api.acme.example',
        'Forwarded: host=api.acme.example',
      ),
    );
    expect([forwarded?.status, JSON.parse(forwarded?.body ?? '').tenant]).toEqual([200, 'other']);
  });

  it('is nobody’s where the host names a tenant that there is not', async () => {
    expect(await whoami(own(), '', { host: 'nobody.functions.test' })).toBe('404 NOT_FOUND');
  });
});

describe('minting', () => {
  it('makes a token that the tenant’s functions know their caller by', async () => {
    const json = {
      role: 'authenticated',
      sub: 'u7',
      email: 'u7@acme.example',
      expires_in: 600,
      claims: { plan: 'gold', aud: 'me' },
    };
    const answer = await mint(acme, json);
    expect(answer.status).toBe(201);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const { token, expires_at } = Minted.parse(await answer.json());
    expect(await everywhere(token)).toBe('authenticated u7 of acme');
    const { exp, iat, ...claims } = decodeJwt(token);
    expect(claims).toEqual({
      iss: 'hearth',
      tenant: 'acme',
      role: 'authenticated',
      sub: 'u7',
      email: 'u7@acme.example',
      plan: 'gold',
      aud: 'me',
    });
    expect([exp, exp]).toEqual([(iat ?? 0) + 600, Date.parse(expires_at) / 1000]);
  });

  it('is for service_role and more', async () => {
    const role = { role: 'anon' };
    expect((await mint(acme, role, running.node.admin_key)).status).toBe(201);
    expect((await mint(acme, role, own({ role: 'service_role' }))).status).toBe(201);
    for (const key of [acme.anon, own()])
      expect(await errorOf(await mint(acme, role, key))).toMatchObject({ status: 403, code: 'FORBIDDEN' });
    expect(await errorOf(await mint(acme, role, other.service))).toMatchObject({ status: 403 });
  });

  it('takes nothing that is not a token’s to have', async () => {
    const wrong: [unknown, string][] = [
      [{}, 'role'],
      [{ role: 'admin' }, 'role'],
      [{ role: 'anon', expires_in: 0 }, 'expires_in'],
      [{ role: 'anon', expires_in: 1.5 }, 'expires_in'],
      [{ role: 'anon', expires_in: 10 * 365 * 86_400 + 1 }, 'expires_in'],
      [{ role: 'anon', sub: '' }, 'sub'],
      [{ role: 'anon', email: 7 }, 'email'],
      [{ role: 'anon', tenant: 'other' }, 'tenant'],
      [{ role: 'anon', claims: [] }, 'claims'],
      [{ role: 'anon', claims: { pad: 'x'.repeat(8000) } }, 'claims'],
      ...['role', 'tenant', 'sub', 'email', 'iss', 'iat', 'nbf', 'exp'].map((name): [unknown, string] => [
        { role: 'anon', claims: { [name]: 1 } },
        `claims.${name}`,
      ]),
    ];
    for (const [json, field] of wrong) {
      const error = await errorOf(await mint(acme, json));
      expect(error, field).toMatchObject({ status: 400, code: 'INVALID_REQUEST', details: [{ field }] });
    }
  });

  it('is in the audit log, and the token is not', async () => {
    const { token } = Minted.parse(await (await mint(acme, { role: 'service_role', sub: 'robot' })).json());
    const entries = await running.sql(`select * from audit where tenant = 'acme' order by id desc limit 1`);
    expect(entries).toMatchObject([
      {
        action: 'token.create',
        subject: 'robot',
        actor_kind: 'service_role',
        details: { role: 'service_role' },
      },
    ]);
    expect(JSON.stringify(entries)).not.toContain(token.split('.')[2]);
  });
});

describe('replacing the secret', () => {
  const rotate = (tenant: string, json: unknown = {}, key: 'admin' | 'service' = 'admin') =>
    running.node.api(`/api/v1/admin/tenants/${tenant}/jwt-secret`, { method: 'POST', key, json });
  let [service, anon] = ['', ''];
  beforeAll(() => {
    [service, anon] = [other.service, other.anon];
  });
  const Rotated = z.strictObject({
    anon_key: z.string(),
    service_key: z.string(),
    previous_verifies_until: z.iso.datetime(),
  });

  it('lets what was signed before verify for the grace period, and no longer', async () => {
    const before = anon;
    const first = await rotate('other');
    expect(first.status).toBe(200);
    const { anon_key, service_key, previous_verifies_until } = Rotated.parse(await first.json());
    const hours = (Date.parse(previous_verifies_until) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(23.9);
    expect(hours).toBeLessThanOrEqual(24);
    for (const key of [before, anon_key]) expect(await everywhere(key)).toBe('anon - of other');
    expect((await other.api('/api/v1/functions', { key: service_key })).status).toBe(200);

    const second = Rotated.parse(await (await rotate('other', { grace_seconds: 0 })).json());
    for (const key of [before, anon_key]) expect(await everywhere(key)).toBe('401 UNAUTHENTICATED');
    expect(await everywhere(second.anon_key)).toBe('anon - of other');
    [service, anon] = [second.service_key, second.anon_key];
  });

  it('keeps no more than five that verify', async () => {
    const keys = [anon];
    for (let round = 0; round < 6; round++) {
      const rotated = Rotated.parse(await (await rotate('other')).json());
      keys.push(rotated.anon_key);
      [service, anon] = [rotated.service_key, rotated.anon_key];
    }
    const verdicts = await Promise.all(keys.map((key) => whoami(key)));
    expect(verdicts.map((verdict) => verdict.startsWith('anon'))).toEqual([
      ...[false, false],
      ...[true, true, true, true, true],
    ]);
    expect(await running.sql("select from tenant_jwt_secrets where tenant = 'other'")).toHaveLength(5);
  });

  it('takes a secret that is given, and shows it nowhere', async () => {
    const secret = 'a secret from elsewhere';
    const answer = await rotate('other', { secret, grace_seconds: 60 });
    const text = await answer.text();
    expect(text).not.toContain(secret);
    const rotated = Rotated.parse(JSON.parse(text));
    [service, anon] = [rotated.service_key, rotated.anon_key];
    const token = signToken(secret, { role: 'authenticated', sub: 'u9', exp: inAnHour() });
    expect(await everywhere(token, '/t/other')).toBe('authenticated u9 of other');
    const entries = await running.sql(`select * from audit where tenant = 'other' order by id desc limit 1`);
    expect(entries).toMatchObject([
      {
        action: 'tenant.rotate_jwt_secret',
        subject: 'other',
        actor_kind: 'admin',
        details: { grace_seconds: 60 },
      },
    ]);
    expect(JSON.stringify(entries)).not.toContain(secret);
  });

  // Called with an anon key: others lend a function their own token.
  it('reaches the tokens of functions that run', async () => {
    const call = async () =>
      z
        .object({ pid: z.number(), status: z.number() })
        .parse(await (await other.api('/functions/v1/calls', { key: anon })).json());
    const first = await call();
    expect(first).toMatchObject({ status: 200 });
    const rotated = Rotated.parse(await (await rotate('other', { grace_seconds: 0 })).json());
    [service, anon] = [rotated.service_key, rotated.anon_key];
    await until(async () => (await call()).status === 200);
    expect(await call()).toEqual(first);
  });

  it('of the default tenant rewrites credentials.json', async () => {
    const path = join(running.node.dataDir, 'credentials.json');
    const before = JSON.parse(await readFile(path, 'utf8'));
    expect((await rotate('default', { grace_seconds: 0 })).status).toBe(200);
    const after = JSON.parse(await readFile(path, 'utf8'));
    expect(Object.keys(after)).toEqual(Object.keys(before));
    expect(after).toMatchObject({ url: before.url, admin_key: before.admin_key });
    for (const name of ['anon_key', 'service_key', 'jwt_secret']) expect(after[name]).not.toBe(before[name]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await everywhere(before.anon_key)).toBe('401 UNAUTHENTICATED');
    expect(await everywhere(after.anon_key)).toBe('anon - of default');
    expect(await everywhere(after.service_key)).toBe('service_role - of default');
  });

  it('is for the admin key, and for tenants that there are', async () => {
    expect(await errorOf(await rotate('nobody'))).toMatchObject({ status: 404 });
    const answer = await other.api('/api/v1/admin/tenants/other/jwt-secret', {
      method: 'POST',
      key: service,
      json: {},
    });
    expect(await errorOf(answer)).toMatchObject({ status: 403 });
    for (const [json, field] of [
      [{ grace_seconds: -1 }, 'grace_seconds'],
      [{ grace_seconds: 30 * 86_400 + 1 }, 'grace_seconds'],
      [{ secret: 'short' }, 'secret'],
      [{ other: 1 }, 'other'],
    ] as const) {
      const error = await errorOf(await rotate('other', json));
      expect(error).toMatchObject({ status: 400, details: [{ field }] });
    }
  });
});

it('shows no token and no secret in what the node writes', async () => {
  const output = running.node.output();
  for (const secret of [
    SECRET,
    acme.service,
    acme.anon,
    other.service,
    running.node.admin_key,
    running.node.jwt_secret,
  ])
    expect(output).not.toContain(secret);
});
