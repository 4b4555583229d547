/** The OpenAPI document against a real node: every operation is called, and its answer is one that is declared. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startNode, type TestNode } from '../support/node.js';

const Operation = z.object({
  security: z.array(z.record(z.string(), z.array(z.string()))),
  requestBody: z.unknown().optional(),
  responses: z.record(
    z.string(),
    z.object({ content: z.record(z.string(), z.object({ schema: z.unknown() })).optional() }),
  ),
});
const Document = z.object({
  paths: z.record(z.string(), z.record(z.string(), Operation)),
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
});

interface Request {
  path: string;
  json?: unknown;
  headers?: Record<string, string>;
  key?: 'service' | 'anon' | 'none' | 'admin';
}

let node: TestNode;
let document: z.output<typeof Document>;
let execution: string;
/** The id of a key. */
let madeKey: string;

beforeAll(async () => {
  node = await startNode({ HEARTH_ROUTERS: '1', HEARTH_POOL_SIZE: '1' });
  await node.deploy('known', "export default () => { console.log('a line'); return { hello: 'world' }; };");
  execution = (await node.call('known')).headers.get('x-execution-id') ?? '';
  const made = await node.api('/api/v1/keys', {
    method: 'POST',
    json: { name: 'known', scopes: ['read:functions'] },
  });
  madeKey = String(((await made.json()) as { id: unknown }).id);
  document = Document.parse(await (await node.api('/api/v1/openapi.json', { key: 'none' })).json());
});

afterAll(async () => {
  await node?.remove();
});

/** For each operation a request that it answers well, and more that it refuses; deletion comes last. */
function requests(): Record<string, Request[]> {
  const known = '/api/v1/functions/known';
  const tenants = '/api/v1/admin/tenants';
  const one = (path: string, ...more: Request[]): Request[] => [{ path }, ...more];
  const anonymous = (path: string): Request[] => [
    { path, key: 'none' },
    { path, key: 'anon' },
  ];
  const calls = Object.fromEntries(
    ['get', 'post', 'put', 'patch', 'delete'].map((method) => [
      `${method} /functions/v1/{name}`,
      one(
        '/functions/v1/known',
        { path: '/functions/v1/unknown' },
        { path: '/functions/v1/known', key: 'none' as const },
      ),
    ]),
  );
  const changes = (): Request[] => [
    { path: known, json: { timeout_seconds: 7 } },
    { path: known, json: { timeout_seconds: 0, nonsense: true } },
    { path: known, json: { code: 'let a b' } },
    { path: '/api/v1/functions/unknown', json: { timeout_seconds: 7 } },
    ...anonymous(known),
  ];
  return {
    ...calls,
    'get /healthz': one('/healthz'),
    'get /readyz': one('/readyz'),
    'get /api/v1/openapi.json': one('/api/v1/openapi.json'),
    'post /api/v1/functions/{name}/invoke': one(`${known}/invoke`, {
      path: '/api/v1/functions/unknown/invoke',
    }).concat({ path: `${known}/invoke`, headers: { prefer: 'respond-async' } }),
    'post /api/v1/functions': [
      { path: '/api/v1/functions', json: { name: 'made', code: "export default () => 'made';" } },
      { path: '/api/v1/functions', json: { name: 'made', code: "export default () => 'made';" } },
      { path: '/api/v1/functions', json: { name: 'not a name' } },
      { path: '/api/v1/functions', json: { name: 'broken', code: 'let a b' } },
      { path: '/api/v1/functions', json: { name: 'huge', code: `//${'x'.repeat(1024 * 1024)}` } },
      ...anonymous('/api/v1/functions'),
    ],
    'get /api/v1/functions': one(
      '/api/v1/functions',
      { path: '/api/v1/functions?limit=0' },
      ...anonymous('/api/v1/functions'),
    ),
    'get /api/v1/functions/{name}': one(known, { path: '/api/v1/functions/unknown' }, ...anonymous(known)),
    'put /api/v1/functions/{name}': changes(),
    'patch /api/v1/functions/{name}': changes(),
    'get /api/v1/functions/{name}/versions': one(`${known}/versions`, {
      path: '/api/v1/functions/unknown/versions',
    }),
    'get /api/v1/functions/{name}/executions': one(`${known}/executions`, {
      path: `${known}/executions?status=odd`,
    }),
    'get /api/v1/functions/{name}/logs': one(`${known}/logs`, { path: '/api/v1/functions/unknown/logs' }),
    'get /api/v1/executions/{id}': one(`/api/v1/executions/${execution}`, {
      path: '/api/v1/executions/unknown',
    }),
    'put /api/v1/secrets/{name}': [
      { path: '/api/v1/secrets/KNOWN', json: { value: 'the first' } },
      { path: '/api/v1/secrets/KNOWN', json: { value: 'the second' } },
      { path: '/api/v1/secrets/PATH', json: { value: '' } },
      { path: '/api/v1/secrets/LARGE', json: { value: 'x'.repeat(64 * 1024 + 1) } },
      { path: '/api/v1/secrets/KNOWN?function=unknown', json: { value: 'x' } },
      ...anonymous('/api/v1/secrets/KNOWN'),
    ],
    'get /api/v1/secrets': one(
      '/api/v1/secrets',
      { path: '/api/v1/secrets?function=unknown' },
      { path: '/api/v1/secrets?nonsense=1' },
      ...anonymous('/api/v1/secrets'),
    ),
    'delete /api/v1/secrets/{name}': one(
      '/api/v1/secrets/KNOWN',
      { path: '/api/v1/secrets/KNOWN' },
      ...anonymous('/api/v1/secrets/KNOWN'),
    ),
    'post /api/v1/admin/functions/reload': one(
      '/api/v1/admin/functions/reload',
      ...anonymous('/api/v1/admin/functions/reload'),
    ),
    'get /api/v1/keys': one('/api/v1/keys', ...anonymous('/api/v1/keys')),
    'post /api/v1/keys': [
      { path: '/api/v1/keys', json: { name: 'one', scopes: ['execute:functions'] } },
      { path: '/api/v1/keys', json: { name: 'none' } },
      { path: '/api/v1/keys', json: { name: 'x'.repeat(40_000) } },
      ...anonymous('/api/v1/keys'),
    ],
    'delete /api/v1/keys/{id}': one(`/api/v1/keys/${madeKey}`, { path: '/api/v1/keys/unknown' }),
    'post /api/v1/tokens': [
      { path: '/api/v1/tokens', json: { role: 'anon' } },
      { path: '/api/v1/tokens', json: { role: 'root' } },
      { path: '/api/v1/tokens', json: { role: 'anon', sub: 'x'.repeat(20_000) } },
      ...anonymous('/api/v1/tokens'),
    ],
    'get /api/v1/tenant': one('/api/v1/tenant', { path: '/api/v1/tenant', key: 'none' }),
    'get /api/v1/usage': one(
      '/api/v1/usage',
      { path: '/api/v1/usage?group=odd' },
      ...anonymous('/api/v1/usage'),
    ),
    'get /api/v1/audit': one(
      '/api/v1/audit',
      { path: '/api/v1/audit?limit=0' },
      ...anonymous('/api/v1/audit'),
    ),
    'post /api/v1/admin/tenants': [
      { path: tenants, json: { slug: 'acme' }, key: 'admin' },
      { path: tenants, json: { slug: 'acme' }, key: 'admin' },
      { path: tenants, json: { slug: 'Not a slug' }, key: 'admin' },
      { path: tenants, json: { slug: 'other' } },
    ],
    'get /api/v1/admin/tenants': [
      { path: tenants, key: 'admin' },
      { path: `${tenants}?limit=0`, key: 'admin' },
      { path: tenants },
      ...anonymous(tenants),
    ],
    'get /api/v1/admin/tenants/{tenant}': [
      { path: `${tenants}/acme`, key: 'admin' },
      { path: `${tenants}/unknown`, key: 'admin' },
      { path: `${tenants}/acme` },
    ],
    'patch /api/v1/admin/tenants/{tenant}': [
      { path: `${tenants}/acme`, json: { quotas: { calls_per_minute: 100 } }, key: 'admin' },
      { path: `${tenants}/acme`, json: { quotas: { nonsense: 1 } }, key: 'admin' },
      { path: `${tenants}/unknown`, json: {}, key: 'admin' },
      { path: `${tenants}/acme`, json: {} },
    ],
    'delete /api/v1/admin/tenants/{tenant}': [
      { path: `${tenants}/acme`, key: 'admin' },
      { path: `${tenants}/acme`, key: 'admin' },
      { path: `${tenants}/default`, key: 'admin' },
      { path: `${tenants}/acme` },
    ],
    'post /api/v1/admin/tenants/{tenant}/jwt-secret': [
      { path: '/api/v1/admin/tenants/default/jwt-secret', json: {}, key: 'admin' },
      { path: '/api/v1/admin/tenants/default/jwt-secret', json: { grace_seconds: -1 }, key: 'admin' },
      { path: '/api/v1/admin/tenants/unknown/jwt-secret', json: {}, key: 'admin' },
      { path: '/api/v1/admin/tenants/default/jwt-secret', json: {} },
    ],
    'delete /api/v1/functions/{name}': one(known, { path: known }, ...anonymous(known)),
  };
}

describe('the OpenAPI document', () => {
  it('declares exactly the operations that are called here', () => {
    const declared = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(Object.keys(requests()).sort()).toEqual(declared.sort());
  });

  it('says what every operation answers, with which body, on the real listener', async () => {
    for (const [name, list] of Object.entries(requests())) {
      const [method = '', path = ''] = name.split(' ');
      const operation = document.paths[path]?.[method];
      if (operation === undefined) throw new Error(`${name} is not declared`);
      const statuses: number[] = [];
      for (const { path: target, json, headers = {}, key = 'service' } of list) {
        const answer = await node.api(target, {
          method: method.toUpperCase(),
          key,
          headers,
          ...(json === undefined ? {} : { json }),
        });
        await expectDeclared(`${name} (${target}, ${key})`, operation, answer);
        statuses.push(answer.status);
      }
      expect([200, 201, 204], name).toContain(statuses[0]);
      // What needs no credential is declared so.
      if (operation.security.length === 0) expect(statuses, name).toEqual([200]);
    }
  });
});

describe('a body that is not as declared', () => {
  it('is found', () => {
    const schema = { $ref: '#/components/schemas/Execution' };
    expect(checked(schema, {})).not.toEqual([]);
    expect(checked({ type: 'array', items: schema }, [{ id: 1 }])).not.toEqual([]);
    const [error, sentence] = [{ $ref: '#/components/schemas/Error' }, 'There is none.'];
    expect(checked(error, { error: sentence, code: 'NOT_FOUND', request_id: 'x' })).toEqual([]);
    expect(checked(error, { error: sentence, code: 'NOT_FOUND' })).not.toEqual([]);
  });
});

async function expectDeclared(what: string, { responses }: z.output<typeof Operation>, answer: Response) {
  const text = await answer.text();
  const declared = responses[answer.status];
  expect(Object.keys(responses), `${what} answered ${answer.status} ${text.slice(0, 300)}`).toContain(
    String(answer.status),
  );
  const content = declared?.content;
  if (content === undefined) return expect(text, what).toBe('');
  const type = (answer.headers.get('content-type') ?? '').split(';')[0] ?? '';
  const media = content[type] ?? content['*/*'];
  if (media === undefined)
    throw new Error(`${what} answered with ${type}, declared is ${Object.keys(content).join(', ')}`);
  const value: unknown = type === 'application/json' ? JSON.parse(text) : text;
  const problems = checked(media.schema, value);
  expect(problems, `${what}: ${text.slice(0, 300)}`).toEqual([]);
}

/** zod reads the document's JSON Schema, references and all. */
function checked(schema: unknown, value: unknown): string[] {
  const definitions = { ...Object(schema), $defs: document.components.schemas };
  const local: unknown = JSON.parse(
    JSON.stringify(definitions).replaceAll('#/components/schemas/', '#/$defs/'),
  );
  const result = z.fromJSONSchema(Object(local)).safeParse(value);
  return result.success
    ? []
    : result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
}
