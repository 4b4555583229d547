/** Who may call a function, and who may manage them: each kind of credential, in each header, good and bad. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signToken } from '../../src/tokens.js';
import { errorOf } from '../support/answers.js';
import { exactRequest } from '../support/exact_request.js';
import { startNode, type TestNode } from '../support/node.js';

let node: TestNode;
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token signed with the node's own secret. */
const token = (claims: Record<string, unknown>) =>
  signToken(node.jwt_secret, { role: 'authenticated', sub: 'someone', exp: inAnHour(), ...claims });

const whoami = (headers: Record<string, string>, name = 'default_function') =>
  node.call(name, { key: 'none', headers });

async function roleOf(headers: Record<string, string>, name?: string): Promise<unknown> {
  const answer = await whoami(headers, name);
  expect(answer.status, await answer.clone().text()).toBe(200);
  const seen: { user_role?: string } = JSON.parse(await answer.text());
  return seen.user_role ?? null;
}

async function expectUnauthenticated(headers: Record<string, string>) {
  const answer = await whoami(headers);
  expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
  const error = await errorOf(answer);
  expect(error).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
  expect(error.execution_id).toBeUndefined();
  return error.error;
}

beforeAll(async () => {
  node = await startNode();
  await node.deployFile('default_function.ts');
  await node.deployFile('default_function.ts', { allow_unauthenticated: true }, 'open_to_all');
  await node.deployFile('mirror.ts', { allow_unauthenticated: true });
});
afterAll(() => node?.remove());

describe('a credential to call with', () => {
  it('is an anon key, a user’s token, a service key or the admin key, as a bearer token', async () => {
    expect(await roleOf({ authorization: `Bearer ${node.anon_key}` })).toBe('anon');
    expect(await roleOf({ authorization: `Bearer ${token({})}` })).toBe('authenticated');
    expect(await roleOf({ authorization: `Bearer ${node.service_key}` })).toBe('service_role');
    expect(await roleOf({ authorization: `Bearer ${node.admin_key}` })).toBe('admin');
    expect(await roleOf({ authorization: `bearer   ${node.anon_key} ` })).toBe('anon');
  });

  it('may come as apikey, and a service key as X-Service-Key', async () => {
    expect(await roleOf({ apikey: node.anon_key })).toBe('anon');
    expect(await roleOf({ apikey: token({}) })).toBe('authenticated');
    expect(await roleOf({ 'x-service-key': node.service_key })).toBe('service_role');
  });

  it('is the bearer token where there are several, as the clients of Supabase send them', async () => {
    const bearer = { authorization: `Bearer ${token({})}` };
    expect(await roleOf({ ...bearer, apikey: node.anon_key })).toBe('authenticated');
    expect(await roleOf({ ...bearer, 'x-service-key': node.service_key })).toBe('authenticated');
    expect(await roleOf({ apikey: node.anon_key, 'x-service-key': node.service_key })).toBe('service_role');
    // A bad one is not made good by another.
    await expectUnauthenticated({ authorization: 'Bearer nonsense', apikey: node.anon_key });
  });

  it('counts under another scheme of Authorization as well', async () => {
    expect(await roleOf({ authorization: 'Basic dXNlcjpwYXNz', apikey: node.anon_key })).toBe('anon');
  });

  it('is needed: none is a 401', async () => {
    expect(await expectUnauthenticated({})).toMatch(/credential/);
    await expectUnauthenticated({ authorization: 'Basic dXNlcjpwYXNz' });
    await expectUnauthenticated({ authorization: '' });
    await expectUnauthenticated({ authorization: 'Bearer' });
    await expectUnauthenticated({ authorization: 'Bearer  ' });
    await expectUnauthenticated({ apikey: '' });
  });
});

describe('a token that does not verify is a 401', () => {
  const bad = (text: string) => expectUnauthenticated({ authorization: `Bearer ${text}` });
  const claims = () => ({ role: 'service_role', exp: inAnHour() });

  it('when it is malformed', async () => {
    for (const text of [
      'x',
      'a.b',
      'a.b.c',
      '..',
      `${node.anon_key}.x`,
      node.anon_key.slice(0, -1),
      '%00',
      '{}',
    ])
      await bad(text);
  });

  it('when it says alg none, with and without a signature', async () => {
    const head = `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims())}`;
    await bad(`${head}.`);
    await bad(`${head}.${token({}).split('.')[2]}`);
    await bad(`${encode({ alg: 'None' })}.${encode(claims())}.`);
  });

  it('when it is signed with the right secret by another algorithm', async () => {
    for (const [alg, hash] of [
      ['HS512', 'sha512'],
      ['HS384', 'sha384'],
    ] as const) {
      const head = `${encode({ alg, typ: 'JWT' })}.${encode(claims())}`;
      expect(
        await bad(`${head}.${createHmac(hash, node.jwt_secret).update(head).digest('base64url')}`),
      ).toMatch(/HS256/);
    }
  });

  it('when it is signed with another secret, or changed after it was signed', async () => {
    expect(await bad(signToken('not the secret', claims()))).toMatch(/signature/);
    expect(await bad(signToken('', claims()))).toMatch(/signature/);
    const [head, , signature] = token({}).split('.');
    expect(await bad(`${head}.${encode(claims())}.${signature}`)).toMatch(/signature/);
  });

  it('when it has expired or is not valid yet, beyond what clocks differ', async () => {
    const now = Math.floor(Date.now() / 1000);
    expect(await bad(token({ exp: now - 60 }))).toMatch(/expired/);
    expect(await bad(token({ nbf: now + 60 }))).toMatch(/not valid yet/);
    expect(await bad(token({ exp: 'tomorrow' }))).toBeTruthy();
    expect(await roleOf({ authorization: `Bearer ${token({ nbf: now + 2 })}` })).toBe('authenticated');
    expect(await roleOf({ authorization: `Bearer ${token({ exp: now - 2 })}` })).toBe('authenticated');
  });

  it('when its role is missing or unknown', async () => {
    for (const role of [undefined, null, '', 'root', 'admin', 'ANON', ['service_role'], { a: 1 }, 1])
      expect(await bad(token({ role }))).toMatch(/role/);
  });

  it('when it is huge; one too large for a request’s head is a 413', async () => {
    expect(await bad(token({ pad: 'x'.repeat(10_000) }))).toMatch(/too long/);
    const answer = await exactRequest(node.url, {
      path: '/functions/v1/default_function',
      headers: { authorization: `Bearer ${'x'.repeat(40_000)}` },
    });
    expect(answer.status).toBe(413);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'TOO_LARGE' });
  });

  it('and stays one when it comes again', async () => {
    const forged = signToken('not the secret', claims());
    for (let call = 0; call < 4; call++) await bad(forged);
  });
});

describe('a function with allow_unauthenticated', () => {
  it('is called by anyone, who then is no one', async () => {
    expect(await roleOf({}, 'open_to_all')).toBeNull();
  });

  it('knows its caller all the same where a credential verifies', async () => {
    expect(await roleOf({ authorization: `Bearer ${node.anon_key}` }, 'open_to_all')).toBe('anon');
    expect(await roleOf({ authorization: `Bearer ${token({})}` }, 'open_to_all')).toBe('authenticated');
  });

  it('takes a credential that is none of ours for its own business, and sees it', async () => {
    expect(await roleOf({ authorization: 'Bearer of a webhook' }, 'open_to_all')).toBeNull();
    expect(await roleOf({ authorization: 'Basic dXNlcjpwYXNz' }, 'open_to_all')).toBeNull();
    const seen = await (await whoami({ authorization: 'Bearer of a webhook' }, 'mirror')).json();
    expect(seen).toMatchObject({
      headers: expect.arrayContaining([['authorization', 'Bearer of a webhook']]),
    });
  });

  it('never sees the admin key', async () => {
    for (const headers of [
      { authorization: `Bearer ${node.admin_key}` },
      { apikey: node.admin_key },
      { 'x-admin-key': node.admin_key },
    ]) {
      const answer = await whoami(headers, 'mirror');
      expect(answer.status).toBe(200);
      expect(await answer.text()).not.toContain(node.admin_key);
    }
  });
});

it('answers a call of a disabled function with 403, and does not run it', async () => {
  await node.deployFile('default_function.ts', { enabled: false }, 'switched_off');
  for (const key of ['anon', 'service'] as const) {
    const error = await errorOf(await node.call('switched_off', { key }));
    expect(error).toMatchObject({ status: 403, code: 'FUNCTION_DISABLED' });
    expect(error.execution_id).toBeUndefined();
  }
  const runs = await node.api('/api/v1/functions/switched_off/executions');
  expect(await runs.json()).toEqual([]);
  // Who may not call it is not told that it is disabled.
  expect(await errorOf(await node.call('switched_off', { key: 'none' }))).toMatchObject({ status: 401 });
  const change = await node.api('/api/v1/functions/switched_off', {
    method: 'PATCH',
    json: { enabled: true },
  });
  expect(change.status).toBe(200);
  expect((await node.call('switched_off')).status).toBe(200);
});

describe('managing', () => {
  const routes: [method: string, path: string, json?: unknown][] = [
    ['POST', '/api/v1/functions', { name: 'mine', code: 'export default () => 1;' }],
    ['GET', '/api/v1/functions'],
    ['GET', '/api/v1/functions/mirror'],
    ['PATCH', '/api/v1/functions/mirror', { enabled: false }],
    ['PUT', '/api/v1/functions/mirror', { enabled: false }],
    ['DELETE', '/api/v1/functions/mirror'],
    ['GET', '/api/v1/functions/mirror/executions'],
    ['GET', '/api/v1/functions/mirror/logs'],
    ['GET', '/api/v1/functions/mirror/logs?follow=true'],
    ['POST', '/api/v1/admin/functions/reload'],
  ];
  it.each(routes)('%s %s is not for anon and authenticated, nor for no one', async (method, path, json) => {
    const ask = (headers: Record<string, string>) =>
      node.api(path, { method, key: 'none', headers, ...(json === undefined ? {} : { json }) });
    expect(await errorOf(await ask({}))).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
    for (const credential of [node.anon_key, token({})]) {
      const error = await errorOf(await ask({ authorization: `Bearer ${credential}` }));
      expect(error).toMatchObject({ status: 403, code: 'FORBIDDEN' });
    }
    expect(await errorOf(await ask({ authorization: 'Bearer nonsense' }))).toMatchObject({ status: 401 });
  });

  it('has left everything as it was', async () => {
    expect((await node.api('/api/v1/functions/mirror')).status).toBe(200);
    expect(await (await node.api('/api/v1/functions/mirror')).json()).toMatchObject({ enabled: true });
    expect((await node.api('/api/v1/functions/mine')).status).toBe(404);
  });

  it('is for service keys and the admin key', async () => {
    for (const headers of [
      { authorization: `Bearer ${node.service_key}` },
      { 'x-service-key': node.service_key },
      { authorization: `Bearer ${token({ role: 'service_role' })}` },
      { authorization: `Bearer ${node.admin_key}` },
    ]) {
      const answer = await node.api('/api/v1/functions', { key: 'none', headers });
      expect(answer.status).toBe(200);
    }
  });
});
