/** What a function is given and what its caller gets back: the styles of a function, its routes, its environment, HTTP as it is. */
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { FunctionRegion, FunctionsClient, FunctionsHttpError } from '@supabase/functions-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signToken } from '../../src/tokens.js';
import { errorOf, executionOf } from '../support/answers.js';
import { exactRequest } from '../support/exact_request.js';
import { startNode, type TestNode } from '../support/node.js';

interface Mirrored {
  method: string;
  url: string;
  headers: [string, string][];
  /** base64 */
  body: string;
}

let node: TestNode;
const bearer = () => ({ authorization: `Bearer ${node.anon_key}` });
const userToken = (claims: Record<string, unknown> = {}) =>
  signToken(node.jwt_secret, {
    role: 'authenticated',
    sub: 'user-1',
    email: 'ünï@example.test',
    exp: Math.floor(Date.now() / 1000) + 600,
    ...claims,
  });

/** What the function `mirror` says that it saw. */
async function mirrored(
  options: {
    method?: string;
    path?: string;
    headers?: Record<string, string | string[]>;
    body?: Buffer;
  } = {},
): Promise<
  Mirrored & { answer: Awaited<ReturnType<typeof exactRequest>>; header(name: string): string | null }
> {
  const { path = '/functions/v1/mirror', headers, ...rest } = options;
  const answer = await exactRequest(node.url, { ...rest, path, headers: { ...bearer(), ...headers } });
  expect(answer.status, answer.body.toString()).toBe(200);
  const seen: Mirrored = JSON.parse(answer.body.toString());
  return { ...seen, answer, header: (name) => new Headers(seen.headers).get(name) };
}

beforeAll(async () => {
  node = await startNode();
  for (const file of [
    'plain_handler.js',
    'exported_handler.ts',
    'default_function.ts',
    'default_object.ts',
    'deno_serve.ts',
    'returns_text.js',
    'mirror.ts',
    'echo_body.ts',
    'environment.js',
    'calls_a_neighbour.ts',
    'route_item.ts',
    'route_sale.ts',
    'answers.ts',
    'own_preflight.ts',
  ]) {
    await node.deployFile(file);
  }
});
afterAll(() => node?.remove());

describe('the styles of a function', () => {
  it('gives a plain handler a plain request, with the body as a string, and sends its object', async () => {
    const answer = await node.call('plain_handler/rest?q=1', {
      method: 'POST',
      headers: { authorization: `Bearer ${userToken()}`, 'x-custom': 'yes' },
      body: 'the body',
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('x-style')).toBe('plain');
    const executionId = answer.headers.get('x-execution-id');
    expect(await answer.json()).toEqual({
      method: 'POST',
      url: `${node.url}/functions/v1/plain_handler/rest?q=1`,
      headers: expect.objectContaining({ 'x-custom': 'yes' }),
      body: 'the body',
      params: {},
      tenant: 'default',
      execution_id: executionId,
      user_id: 'user-1',
      user_email: 'ünï@example.test',
      user_role: 'authenticated',
    });
  });

  it('takes an exported handler, whose bare value becomes JSON', async () => {
    const answer = await node.call('exported_handler');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    const seen = await answer.json();
    expect(seen).toMatchObject({ seen: { method: 'GET', body: '', user_role: 'anon' } });
    expect(seen).not.toHaveProperty('seen.user_id');
  });

  it('gives a default function a web Request and its context', async () => {
    const answer = await node.call('default_function/a/b?c=d', {
      headers: { authorization: `Bearer ${userToken({ sub: 'user-2' })}` },
    });
    expect(await answer.json()).toEqual({
      url: `${node.url}/functions/v1/default_function/a/b?c=d`,
      execution_id: answer.headers.get('x-execution-id'),
      tenant: 'default',
      params: {},
      user_id: 'user-2',
      user_email: 'ünï@example.test',
      user_role: 'authenticated',
    });
  });

  it('calls the fetch method of a default object on that object', async () => {
    expect(await (await node.call('default_object')).text()).toBe('from fetch for default');
  });

  it('serves the handler that Deno.serve was given, which sees the address of the caller', async () => {
    const answer = await node.call('deno_serve', { method: 'DELETE' });
    expect(answer.status).toBe(202);
    expect(await answer.text()).toBe('served DELETE for 127.0.0.1');
  });

  it('sends a returned string as text', async () => {
    const answer = await node.call('returns_text');
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(await answer.text()).toBe('just text');
  });

  it('notes the answer of each as a successful execution', async () => {
    const answer = await node.call('exported_handler?noted');
    const text = await answer.text();
    const execution = await executionOf(node, answer);
    expect(execution).toMatchObject({
      function_name: 'exported_handler',
      version: 1,
      trigger_type: 'http',
      status: 'success',
      status_code: 200,
      result: text,
      logs: null,
      error_message: null,
      error_stack: null,
      request_id: answer.headers.get('x-request-id'),
    });
    expect(execution.duration_ms).toBeGreaterThan(0);
    expect(execution.cpu_ms).toBeGreaterThan(0);
  });
});

describe('the environment of a function', () => {
  it('holds the platform’s facts under the three names that they go by, and nothing of the node’s own', async () => {
    const seen: Record<string, string> = JSON.parse(await (await node.call('environment')).text());
    expect(seen).toEqual({
      HEARTH_URL: node.url,
      HEARTH_TOKEN: expect.stringMatching(/^ey[\w-]+\.[\w-]+\.[\w-]+$/),
      HEARTH_EXECUTION_REGION: 'local',
      HEARTH_FUNCTION: 'environment',
      HEARTH_TENANT: 'default',
      FLUXBASE_URL: node.url,
      FLUXBASE_TOKEN: seen.HEARTH_TOKEN,
      SUPABASE_URL: node.url,
      SUPABASE_ANON_KEY: node.anon_key,
    });
  });

  it('lets it call another function in its caller’s name, and return that answer as it is', async () => {
    const asUser = (sub: string) =>
      node.call('calls_a_neighbour?to=default_function', {
        headers: { authorization: `Bearer ${userToken({ sub })}` },
      });
    const answers = await Promise.all(['ann', 'bob', 'eve'].map(asUser));
    for (const [index, sub] of ['ann', 'bob', 'eve'].entries()) {
      expect(await answers[index]?.json()).toMatchObject({ user_id: sub, user_role: 'authenticated' });
    }
    const anon = await node.call('calls_a_neighbour?to=default_function');
    const seen = await anon.json();
    expect(seen).toMatchObject({ user_role: 'anon' });
    expect(seen).not.toHaveProperty('user_id');
    // The outer call's ids, not those of the call within.
    expect(seen).not.toMatchObject({ execution_id: anon.headers.get('x-execution-id') });
    const asManager = await node.api('/functions/v1/calls_a_neighbour?to=default_function');
    expect(await asManager.json()).toMatchObject({ user_role: 'service_role' });
  });
});

describe('routing', () => {
  const path = async (path: string) => (await node.api(path, { key: 'anon' })).json();

  it('gives a function its own routes, with their params', async () => {
    expect(await path('/shop/17?x=1')).toEqual({ took: 'item', params: { id: '17' } });
    expect(await path('/shop/17/parts/3')).toEqual({ took: 'item', params: { id: '17', part: '3' } });
  });

  it('lets the longest literal prefix win', async () => {
    expect(await path('/shop/sale-42')).toEqual({ took: 'sale', params: { code: '42' } });
    expect(await path('/shop/sale')).toEqual({ took: 'item', params: { id: 'sale' } });
  });

  it('finds the same under /t/default, and the function sees the path as it was sent', async () => {
    expect(await path('/t/default/shop/17')).toEqual({ took: 'item', params: { id: '17' } });
    expect((await mirrored({ path: '/t/default/functions/v1/mirror/x?y' })).url).toBe(
      `${node.url}/t/default/functions/v1/mirror/x?y`,
    );
  });

  it('answers 404 for a path, a function and a tenant that do not exist', async () => {
    for (const path of ['/shop', '/shop/1/2', '/functions/v1/nobody', '/t/nobody/functions/v1/mirror']) {
      expect(await errorOf(await node.api(path, { key: 'anon' }))).toMatchObject({
        status: 404,
        code: 'NOT_FOUND',
      });
    }
  });

  it('invokes through the API: body and headers go in, status, headers and body come out', async () => {
    const answer = await node.api('/api/v1/functions/plain_handler/invoke', {
      key: 'anon',
      method: 'POST',
      body: '{"a":1}',
      headers: { 'x-custom': 'yes' },
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('x-style')).toBe('plain');
    expect(await answer.json()).toMatchObject({
      method: 'POST',
      body: '{"a":1}',
      headers: { 'x-custom': 'yes' },
    });
    expect((await executionOf(node, answer)).trigger_type).toBe('invoke');
  });

  it('changes a function’s routes at once when they are changed', async () => {
    await node.deployFile('returns_text.js', { routes: ['/first/:id'] }, 'moving');
    expect((await node.api('/first/1', { key: 'anon' })).status).toBe(200);
    const change = await node.api('/api/v1/functions/moving', {
      method: 'PATCH',
      json: { routes: ['/second'] },
    });
    expect(change.status).toBe(200);
    expect((await node.api('/first/1', { key: 'anon' })).status).toBe(404);
    expect((await node.api('/second', { key: 'anon' })).status).toBe(200);
  });
});

describe('@supabase/functions-js, unchanged', () => {
  const client = () => new FunctionsClient(`${node.url}/functions/v1`, { headers: bearer() });

  it('sends and reads JSON, text and bytes', async () => {
    const json = await client().invoke<Mirrored>('mirror', { body: { a: 'ü' } });
    expect(json.error).toBeNull();
    expect(Buffer.from(json.data?.body ?? '', 'base64').toString()).toBe('{"a":"ü"}');
    expect(new Headers(json.data?.headers).get('content-type')).toBe('application/json');

    const text = await client().invoke<string>('echo_body', { body: 'plain words' });
    expect(text.data).toBe('plain words');

    const bytes = randomBytes(2000);
    const binary = await client().invoke<Blob>('echo_body', { body: new Blob([bytes]) });
    expect(Buffer.from((await binary.data?.arrayBuffer()) ?? new ArrayBuffer(0))).toEqual(bytes);
  });

  it('sends its method and a region', async () => {
    const answer = await client().invoke<Mirrored>('mirror', {
      method: 'PUT',
      region: FunctionRegion.EuWest1,
    });
    expect(answer.data?.method).toBe('PUT');
  });

  it('sees what goes wrong as a FunctionsHttpError with the answer in it', async () => {
    const { error, data } = await client().invoke('answers/none');
    expect(data).toBeNull();
    expect(error).toBeInstanceOf(FunctionsHttpError);
    expect(error.context.status).toBe(418);
    expect(await error.context.text()).toBe('what?');
    const missing = await client().invoke('nobody');
    expect(missing.error).toBeInstanceOf(FunctionsHttpError);
    expect(await errorOf(missing.error.context)).toMatchObject({ status: 404 });
  });
});

describe('CORS', () => {
  const preflight = { origin: 'https://app.example.test', 'access-control-request-method': 'POST' };

  it('is answered by the platform where the function’s cors says so, without a credential', async () => {
    await node.deployFile('mirror.ts', { cors: 'https://app.example.test' }, 'with_cors');
    const path = '/functions/v1/with_cors';
    const answer = await exactRequest(node.url, { method: 'OPTIONS', path, headers: preflight });
    expect(answer.status).toBe(204);
    expect(answer.header('access-control-allow-origin')).toBe('https://app.example.test');
    expect(answer.header('access-control-allow-methods')).toContain('POST');
    expect(answer.header('access-control-allow-headers')).toContain('authorization');
    const { origin } = preflight;
    const call = await exactRequest(node.url, { path, headers: { ...bearer(), origin } });
    expect(call.header('access-control-allow-origin')).toBe(origin);
    const refused = await exactRequest(node.url, { path, headers: { origin } });
    expect([refused.status, refused.header('access-control-allow-origin')]).toEqual([401, origin]);
    const foreign = await exactRequest(node.url, {
      method: 'OPTIONS',
      path,
      headers: { ...preflight, origin: 'https://evil.example.test' },
    });
    expect(foreign.header('access-control-allow-origin')).toBeUndefined();
  });

  it('is the function’s own otherwise: its preflight needs no credential either', async () => {
    const path = '/functions/v1/own_preflight';
    const answer = await exactRequest(node.url, { method: 'OPTIONS', path, headers: preflight });
    expect([answer.status, answer.body.toString()]).toEqual([200, 'ok']);
    expect(answer.header('access-control-allow-headers')).toBe('authorization');
  });

  it('takes no OPTIONS for a preflight that is none', async () => {
    const path = '/functions/v1/own_preflight';
    expect((await exactRequest(node.url, { method: 'OPTIONS', path })).status).toBe(401);
    expect(
      (await exactRequest(node.url, { method: 'OPTIONS', path, headers: bearer() })).body.toString(),
    ).toBe('ok');
    const headers = { origin: preflight.origin };
    expect((await exactRequest(node.url, { method: 'OPTIONS', path, headers })).status).toBe(401);
    expect((await exactRequest(node.url, { method: 'POST', path, headers: preflight })).status).toBe(401);
  });
});

describe('HTTP as the function sees it', () => {
  it('is the whole URL, as it was written', async () => {
    for (const rest of [
      '',
      '/',
      '/a/b//c',
      '/a%20b%2Fc',
      '/%F0%9F%A6%95/%C3%BC',
      "/it's(a)test!*;,@:&=+$~",
      '?',
      '?a=1&a=2&b=%20+&c[]=3&d',
      '/x?redirect=https://other.test/?y=1',
      `?long=${'x'.repeat(6000)}`,
      '?pipe=a|b{c}^d`e"f<g>',
      '/..x/...',
    ]) {
      const { url } = await mirrored({ path: `/functions/v1/mirror${rest}` });
      const expected = new URL(`${node.url}/functions/v1/mirror${rest}`);
      expect(new URL(url).href, rest).toBe(expected.href);
    }
  });

  it('has the host that the client named', async () => {
    const { url, header } = await mirrored({ headers: { host: 'api.example.test:8443' } });
    expect(url).toBe('http://api.example.test:8443/functions/v1/mirror');
    expect(header('host')).toBe('api.example.test:8443');
  });

  it('takes an absolute request target, as a proxy sends it', async () => {
    const { url } = await mirrored({ path: `${node.url}/functions/v1/mirror/abs?q=1` });
    expect(url).toBe(`${node.url}/functions/v1/mirror/abs?q=1`);
  });

  it('is any method, also one of WebDAV', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'PURGE']) {
      expect((await mirrored({ method })).method).toBe(method);
    }
    const path = '/functions/v1/mirror';
    const head = await exactRequest(node.url, { method: 'HEAD', path, headers: bearer() });
    expect([head.status, head.header('x-method'), head.body.length]).toEqual([200, 'HEAD', 0]);
  });

  it('is a body of any bytes, with each method that has one', async () => {
    const body = randomBytes(300_000);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
      const seen = await mirrored({ method, body });
      expect(Buffer.from(seen.body, 'base64').equals(body), method).toBe(true);
    }
  });

  it('has every header that the client sent but those of the hop, also twice', async () => {
    const { headers, header } = await mirrored({
      headers: {
        'x-twice': ['one', 'two'],
        cookie: 'a=1; b=2',
        'X-MiXeD': 'Case kept in värde',
        connection: 'x-hop, keep-alive',
        'x-hop': 'for the router alone',
        'x-hearth-user-role': 'service_role',
        'x-hearth-params': '%7B%7D',
        'x-empty': '',
      },
    });
    expect(header('x-twice')).toBe('one, two');
    expect(header('cookie')).toBe('a=1; b=2');
    expect(header('x-mixed')).toBe('Case kept in värde');
    expect(header('x-empty')).toBe('');
    expect(header('x-hop')).toBeNull();
    expect(header('x-hearth-user-role')).not.toBe('service_role');
    expect(header('x-forwarded-for')).toBe('127.0.0.1');
    expect(headers.filter(([name]) => name === 'x-hearth-params')).toEqual([]);
  });

  it('carries the client’s x-request-id, and replaces one that could break a log', async () => {
    const kept = await mirrored({ headers: { 'x-request-id': 'my-id.1' } });
    expect([kept.answer.header('x-request-id'), kept.header('x-request-id')]).toEqual(['my-id.1', 'my-id.1']);
    const replaced = await mirrored({ headers: { 'x-request-id': 'not good {}' } });
    expect(replaced.answer.header('x-request-id')).toMatch(/^[\da-f-]{36}$/);
    expect(replaced.header('x-request-id')).not.toBe('not good {}');
    expect(replaced.header('x-execution-id')).toBe(replaced.answer.header('x-execution-id'));
  });

  it('carries the client’s traceparent, and has one of its own where there is none', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect((await mirrored({ headers: { traceparent } })).header('traceparent')).toBe(traceparent);
    const made = /^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-0[01]$/;
    expect((await mirrored()).header('traceparent')).toMatch(made);
    expect((await mirrored({ headers: { traceparent: 'nonsense' } })).header('traceparent')).toMatch(made);
  });

  it.each([
    ['small', 10],
    ['large', 100_000],
  ])('begins a trace by the execution’s id, also with a body that is %s', async (_, bytes) => {
    const seen = await mirrored({ method: 'POST', body: Buffer.alloc(bytes, 'x') });
    const id = seen.answer.header('x-execution-id') ?? '';
    expect(seen.header('x-execution-id')).toBe(id);
    const trace = id.replaceAll('-', '');
    expect(seen.header('traceparent')).toMatch(`00-${trace}-${trace.slice(16)}-0`);
  });

  it('is a compressed body as it was sent', async () => {
    const body = gzipSync('compressed '.repeat(100));
    const seen = await mirrored({ method: 'POST', body, headers: { 'content-encoding': 'gzip' } });
    expect(Buffer.from(seen.body, 'base64').equals(body)).toBe(true);
    expect(seen.header('content-encoding')).toBe('gzip');
  });
});

describe('HTTP as the caller sees it', () => {
  const answers = (what: string, options: { method?: string; headers?: Record<string, string> } = {}) =>
    exactRequest(node.url, {
      path: `/functions/v1/answers/${what}`,
      ...options,
      headers: { ...bearer(), ...options.headers },
    });

  it('has two cookies as two headers', async () => {
    const answer = await answers('cookies');
    expect(answer.headers.filter(([name]) => name === 'set-cookie').map(([, value]) => value)).toEqual([
      'a=1; Path=/',
      'b=2; HttpOnly',
    ]);
    expect(answer.header('x-one')).toBe('1');
  });

  it('has answers without a body as such', async () => {
    const none = await answers('no-content');
    expect([none.status, none.header('x-kept'), none.body.length]).toEqual([204, 'yes', 0]);
    const same = await answers('not-modified');
    expect([same.status, same.header('etag'), same.body.length]).toEqual([304, '"v1"', 0]);
    for (const answer of [none, same]) expect(answer.header('transfer-encoding')).toBeUndefined();
  });

  it('is left to follow a redirect by itself', async () => {
    const answer = await answers('redirect');
    expect([answer.status, answer.header('location')]).toEqual([307, 'https://example.test/elsewhere?a=1']);
  });

  it('learns the length from HEAD as from GET', async () => {
    const get = await answers('sized');
    expect([get.header('content-length'), get.body.toString()]).toEqual(['10', '0123456789']);
    const head = await answers('sized', { method: 'HEAD' });
    expect([head.header('content-length'), head.body.length]).toEqual(['10', 0]);
  });

  it('gets bytes as the function sent them: compressed ones as they are, others never compressed', async () => {
    const answer = await node.call('answers/gzip');
    expect(answer.headers.get('content-encoding')).toBe('gzip');
    expect(await answer.text()).toBe('packed '.repeat(1000));
    const plain = await answers('long-text', { headers: { 'accept-encoding': 'gzip, br' } });
    expect(plain.header('content-encoding')).toBeUndefined();
    expect(plain.body.toString()).toBe('long text '.repeat(1000));
  });

  it('gets the platform’s ids, whatever the function sends, and nothing internal', async () => {
    const answer = await answers('ids');
    const ids = answer.headers.filter(([name]) => name === 'x-request-id' || name === 'x-execution-id');
    expect(ids).toHaveLength(2);
    expect(ids.map(([, value]) => value)).not.toContain('forged');
    expect(answer.headers.filter(([name]) => name.startsWith('x-hearth'))).toEqual([]);
  });
});
