import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from '@hono/zod-openapi';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestPostgres, type TestPostgres } from '../../../test/support/postgres.js';
import { createPrepare } from '../../pool/prepare.js';
import { createExecutionWriter } from '../../store/execution_writer.js';
import { openStore, type Store } from '../../store/main.js';
import type { Execution } from '../../store/types.js';
import type { Role } from '../principal.js';
import type { Api, LogLine } from './context.js';
import { createApi } from './main.js';
import {
  ErrorAnswer,
  ExecutionRecord,
  FunctionListed,
  FunctionRecord,
  FunctionVersion,
  ReloadAnswer,
} from './schemas.js';

const MAX_CODE = 4096;
const HELLO = 'export default () => "hello";\n';

let postgres: TestPostgres;
let store: Store;
let dir: string;
let functionsDir: string;
let api: Api;
let changes: string[];
let flushed: number;
let errors: unknown[];
const followers = new Map<string, Set<(line: LogLine) => void>>();

beforeAll(async () => {
  postgres = await startTestPostgres();
  store = await openStore(await postgres.database(), { max: 3, secretKeys: ['a key of 16 characters'] });
  dir = await mkdtemp(join(tmpdir(), 'hearth-api-'));
});

afterAll(async () => {
  await store?.stop();
  await postgres?.stop();
  await rm(dir, { recursive: true, force: true });
});

beforeEach(async () => {
  await store.sql`truncate functions, function_versions, function_routes, bundles, executions, secrets, code_caches, schedules`;
  functionsDir = await mkdtemp(join(dir, 'functions-'));
  [changes, errors, flushed] = [[], [], 0];
  followers.clear();
  api = createApi({
    store,
    prepare: createPrepare({
      denoPath: '/nowhere',
      cacheDir: join(dir, 'cache'),
      env: {},
      sandbox: null,
      esbuildPath: null,
      maxCodeBytes: MAX_CODE,
    }),
    changed: async (id) => void changes.push(id),
    keyChanged: () => {},
    defaultSecretIsSet: false,
    tenantChanged: async () => {},
    tenantDrained: async () => {},
    domain: null,
    singleTenant: 'Not a second tenant: there are only permissions.',
    flushExecutions: async () => void flushed++,
    followLogs(id, onLine) {
      const set = followers.get(id) ?? new Set();
      followers.set(id, set.add(onLine));
      return () => set.delete(onLine);
    },
    functionsDir,
    maxCodeBytes: MAX_CODE,
    version: '0.0.0',
    onError: (error) => errors.push(error),
  });
});

function ask(
  method: string,
  path: string,
  body?: unknown,
  role: Role = 'service_role',
  init: RequestInit = {},
) {
  const caller = async () => ({ principal: { role, tenant: 'default' }, tenant: 'default' });
  const call = { requestId: 'r1', address: '127.0.0.1', caller };
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  return api.request(
    path,
    { method, ...(text === undefined ? {} : { body: text }), ...init },
    { call, outgoing: {} },
  );
}

async function json<S extends z.ZodType>(
  response: Response | Promise<Response>,
  status: number,
  schema: S,
): Promise<z.output<S>> {
  const answered = await response;
  const body: unknown = await answered.json();
  expect([answered.status, JSON.stringify(body)]).toEqual([status, expect.anything()]);
  expect(answered.headers.get('content-type')).toMatch(/^application\/json/);
  return schema.parse(body);
}

const create = (body: Record<string, unknown>) =>
  json(ask('POST', '/api/v1/functions', { code: HELLO, ...body }), 201, FunctionRecord);
const refuse = (response: Response | Promise<Response>, status: number) =>
  json(response, status, ErrorAnswer);

describe('a second tenant', () => {
  it('is refused where nothing but permissions would be between the two', async () => {
    const refused = await refuse(ask('POST', '/api/v1/admin/tenants', { slug: 'second' }, 'admin'), 409);
    expect(refused).toMatchObject({ code: 'CONFLICT', error: expect.stringContaining('only permissions') });
    expect(await store.tenants.count()).toBe(1);
  });
});

describe('functions', () => {
  it('are created with defaults, read, listed without code, and deleted', async () => {
    const created = await create({ name: 'hello' });
    expect(created).toMatchObject({
      ...{
        name: 'hello',
        tenant: 'default',
        version: 1,
        code: HELLO,
        enabled: true,
        timeout_seconds: 30,
        memory_limit_mb: 128,
      },
      ...{
        allow_net: true,
        allow_read: false,
        max_concurrency: 32,
        max_instances: 4,
        routes: [],
        cors: null,
      },
      created_by: 'service_role',
    });
    expect(await json(ask('GET', '/api/v1/functions/hello'), 200, FunctionRecord)).toEqual(created);
    const { code: _, ...listed } = created;
    expect(await json(ask('GET', '/api/v1/functions'), 200, z.array(FunctionListed))).toEqual([listed]);
    expect((await ask('DELETE', '/api/v1/functions/hello')).status).toBe(204);
    expect(changes).toEqual([created.id, created.id]);
    for (const method of ['GET', 'DELETE']) await refuse(ask(method, '/api/v1/functions/hello'), 404);
  });

  it('are listed by pages', async () => {
    for (const name of ['a', 'b', 'c']) await create({ name });
    const names = async (query: string) =>
      (await json(ask('GET', `/api/v1/functions${query}`), 200, z.array(FunctionListed))).map(
        ({ name }) => name,
      );
    expect(await names('?limit=2')).toEqual(['a', 'b']);
    expect(await names('?limit=2&after=b')).toEqual(['c']);
    for (const limit of ['0', '201', 'x', ''])
      await refuse(ask('GET', `/api/v1/functions?limit=${limit}`), 400);
  });

  it.each(['PUT', 'PATCH'])(
    'are changed by %s in the given fields alone, with a version for new code',
    async (method) => {
      const before = await create({
        name: 'hello',
        description: 'first',
        cors: '*',
        routes: ['/hello/:who'],
      });
      expect(before.cors).toEqual({ origins: ['*'] });
      const after = await json(
        ask(method, '/api/v1/functions/hello', { timeout_seconds: 60, cors: null }),
        200,
        FunctionRecord,
      );
      expect(after).toEqual({ ...before, timeout_seconds: 60, cors: null, updated_at: after.updated_at });
      const code = `${HELLO}// two\n`;
      const newer = await json(
        ask(method, '/api/v1/functions/hello', { ...after, code }),
        200,
        FunctionRecord,
      );
      expect(newer).toMatchObject({ version: 2, code, timeout_seconds: 60 });
      const versions = await json(
        ask('GET', '/api/v1/functions/hello/versions'),
        200,
        z.array(FunctionVersion),
      );
      expect(versions.map(({ version }) => version)).toEqual([2, 1]);
      expect(await json(ask(method, '/api/v1/functions/hello', {}), 200, FunctionRecord)).toEqual(newer);
      expect(changes).toHaveLength(3);
      const renamed = await refuse(ask(method, '/api/v1/functions/hello', { name: 'other' }), 400);
      expect(renamed.details).toEqual([{ field: 'name', message: 'cannot be changed' }]);
      await refuse(ask(method, '/api/v1/functions/none', {}), 404);
    },
  );

  it('follow the directives of their code where the request is silent', async () => {
    const code = `// @hearth:timeout 60\n// @hearth:memory 256\n${HELLO}`;
    expect(await create({ name: 'a', code, memory_limit_mb: 64 })).toMatchObject({
      timeout_seconds: 60,
      memory_limit_mb: 64,
    });
    const changed = await json(
      ask('PATCH', '/api/v1/functions/a', { code: `// @hearth:timeout 9\n${HELLO}` }),
      200,
      FunctionRecord,
    );
    expect(changed).toMatchObject({ timeout_seconds: 9, memory_limit_mb: 64 });
    const error = await refuse(
      ask('PATCH', '/api/v1/functions/a', { code: `${HELLO}// @hearth:tmeout 9` }),
      400,
    );
    expect(error).toMatchObject({
      code: 'INVALID_FUNCTION',
      details: [{ field: 'code', line: 2, column: 4 }],
    });
  });

  it('have a name and routes that nobody else has', async () => {
    await create({ name: 'a', routes: ['/x'] });
    expect((await refuse(ask('POST', '/api/v1/functions', { name: 'a', code: HELLO }), 409)).code).toBe(
      'CONFLICT',
    );
    const taken = await refuse(
      ask('POST', '/api/v1/functions', { name: 'b', code: HELLO, routes: ['/y', '/x'] }),
      409,
    );
    expect(taken.details?.[0]?.field).toBe('routes.1');
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ['no fields', { code: undefined }, ['name', 'code']],
    ['unknown fields', { name: 'a', colour: 1, seq: 2 }, ['colour', 'seq']],
    ['fields of the platform', { name: 'a', id: 'x', hash: 'y' }, ['id', 'hash']],
    ['a reserved name', { name: 'index' }, ['name']],
    ['a long name', { name: 'a'.repeat(65) }, ['name']],
    ['a name that is a path', { name: '../a' }, ['name']],
    [
      'ranges',
      { name: 'a', timeout_seconds: 301, memory_limit_mb: 31, max_instances: 0 },
      ['timeout_seconds', 'memory_limit_mb', 'max_instances'],
    ],
    [
      'types',
      { name: 'a', enabled: 'yes', timeout_seconds: '5', code: 7 },
      ['code', 'enabled', 'timeout_seconds'],
    ],
    ['a route', { name: 'a', routes: ['/ok', '/api/v1/x'] }, ['routes.1']],
    ['routes without end', { name: 'a', routes: Array.from({ length: 21 }, (_, n) => `/${n}`) }, ['routes']],
    ['cors', { name: 'a', cors: { origins: ['x'] } }, ['cors.origins.0']],
    ['a schedule', { name: 'a', cron_schedule: 'now' }, ['cron_schedule']],
    ['a rate limit', { name: 'a', rate_limit: 'fast' }, ['rate_limit']],
    ['a NUL', { name: 'a', description: '\0' }, ['description']],
  ])('are refused for %s, by field', async (_, body, fields) => {
    const error = await refuse(ask('POST', '/api/v1/functions', { code: HELLO, ...body }), 400);
    expect(error).toMatchObject({ code: 'INVALID_REQUEST', request_id: 'r1' });
    expect(error.details?.map(({ field }) => field).sort()).toEqual(fields.sort());
  });

  it('are refused for code that cannot load, with its place, and for too much of it', async () => {
    const broken = await refuse(
      ask('POST', '/api/v1/functions', { name: 'a', code: 'let a;\nlet b c' }),
      400,
    );
    expect(broken).toMatchObject({
      code: 'INVALID_FUNCTION',
      error: 'Line 2, column 7: Expected ";" but found "c"',
      details: [{ field: 'code', line: 2, column: 7 }],
    });
    const code = `${HELLO}//${'x'.repeat(MAX_CODE)}`;
    expect((await refuse(ask('POST', '/api/v1/functions', { name: 'a', code }), 413)).code).toBe('TOO_LARGE');
    expect(await json(ask('GET', '/api/v1/functions'), 200, z.array(FunctionListed))).toEqual([]);
  });

  it.each(['', '{', '[]', '"x"', 'null', '{"name":1}}', '\ufffe', '{"__proto__":{"name":"a"}}'])(
    'are refused for the body %j',
    async (body) => {
      expect((await refuse(ask('POST', '/api/v1/functions', body), 400)).code).toBe('INVALID_REQUEST');
    },
  );

  it('are not read beyond the limit of a body', async () => {
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent++;
        controller.enqueue(randomBytes(16 * 1024));
      },
    });
    const init = { body: endless, duplex: 'half' } as RequestInit;
    expect((await refuse(ask('POST', '/api/v1/functions', undefined, 'service_role', init), 413)).code).toBe(
      'TOO_LARGE',
    );
    expect(sent).toBeLessThan(20);
  });

  it.each<Role>(['anon', 'authenticated'])('are not managed by the role %s', async (role) => {
    for (const [method, path] of [
      ...[['POST', '/api/v1/functions'] as const, ['GET', '/api/v1/functions'] as const],
      ...(['GET', 'PUT', 'PATCH', 'DELETE'] as const).map((each) => [each, '/api/v1/functions/a'] as const),
      ...['versions', 'executions', 'logs'].map((each) => ['GET', `/api/v1/functions/a/${each}`] as const),
      ...[['GET', '/api/v1/executions/x'] as const, ['POST', '/api/v1/admin/functions/reload'] as const],
    ]) {
      const body = method === 'GET' ? undefined : {};
      expect((await refuse(ask(method, path, body, role), 403)).code).toBe('FORBIDDEN');
    }
  });

  it('answer 404 for names and routes that do not exist', async () => {
    for (const path of ['none', '%00', '..%2fa', 'a'.repeat(10_000)])
      await refuse(ask('GET', `/api/v1/functions/${path}`), 404);
    for (const path of ['/api/v1/nope', '/api/v1/functions/a/b/c']) await refuse(ask('GET', path), 404);
    await refuse(ask('DELETE', '/api/v1/functions'), 404);
  });

  it('answer a defect without its text, and tell the log', async () => {
    await store.sql`alter table function_versions rename to lost`;
    const error = await refuse(ask('GET', '/api/v1/functions/a'), 500).finally(
      () => store.sql`alter table lost rename to function_versions`,
    );
    expect(error.code).toBe('INTERNAL');
    expect(error.error).not.toMatch(/relation|select|function_versions/);
    expect(errors).toHaveLength(1);
  });
});

describe('executions and logs', () => {
  async function addExecutions(functionId: string, count: number): Promise<string[]> {
    const now = Date.now();
    await store.executions.createPartitions(new Date(now));
    const writer = createExecutionWriter(store.sql);
    const ids: string[] = [];
    for (let n = 0; n < count; n++) {
      const at = new Date(now + n);
      const id = uuidv7(at.getTime());
      ids.push(id);
      const execution: Execution = {
        ...{
          id,
          tenant: 'default',
          function_id: functionId,
          function_name: 'a',
          version: 1,
          trigger_type: n === 0 ? 'invoke' : 'http',
        },
        ...{
          trigger_payload: null,
          status: n === 0 ? 'error' : 'success',
          status_code: 200,
          duration_ms: 1.5,
          cpu_ms: null,
        },
        ...{
          cold_start: false,
          result: 'hi',
          logs: `line ${n}\nand more`,
          error_message: null,
          error_stack: null,
        },
        ...{ executed_at: at, completed_at: at, request_id: 'r' },
      };
      writer.add(execution);
    }
    await writer.stop();
    return ids.reverse();
  }

  it('are listed newest first, filtered and paged, and read one by one', async () => {
    const { id } = await create({ name: 'a' });
    const ids = await addExecutions(id, 3);
    const list = async (query: string) =>
      (await json(ask('GET', `/api/v1/functions/a/executions${query}`), 200, z.array(ExecutionRecord))).map(
        (each) => each.id,
      );
    expect(await list('')).toEqual(ids);
    expect(await list('?limit=1')).toEqual(ids.slice(0, 1));
    expect(await list(`?before=${ids[0]}`)).toEqual(ids.slice(1));
    expect(await list('?status=error')).toEqual(ids.slice(2));
    expect(await list('?trigger_type=http')).toEqual(ids.slice(0, 2));
    expect(flushed).toBe(5);
    for (const query of ['status=x', 'trigger_type=x', 'before=x', 'limit=1.5']) {
      await refuse(ask('GET', `/api/v1/functions/a/executions?${query}`), 400);
    }
    await refuse(ask('GET', '/api/v1/functions/none/executions'), 404);
    const one = await json(ask('GET', `/api/v1/executions/${ids[0]}`), 200, ExecutionRecord);
    expect(one).toMatchObject({ id: ids[0], logs: 'line 2\nand more' });
    for (const other of ['x', '%00', uuidv7(1)]) await refuse(ask('GET', `/api/v1/executions/${other}`), 404);
  });

  it('show the stored lines, oldest first', async () => {
    const { id } = await create({ name: 'a' });
    const ids = await addExecutions(id, 2);
    const response = await ask('GET', '/api/v1/functions/a/logs');
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const lines = (await response.text())
      .split('\n\n')
      .filter((each) => each !== '')
      .map((each) => JSON.parse(each.replace(/^data: /, '')));
    expect(lines.map(({ message }) => message)).toEqual(['line 0', 'and more', 'line 1', 'and more']);
    expect(lines[3]).toMatchObject({ execution_id: ids[0], level: 'log' });
  });

  it('are followed live until the reader goes away', async () => {
    const { id } = await create({ name: 'a' });
    const response = await ask('GET', '/api/v1/functions/a/logs?follow=true');
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toBe(': following\n\n');
    const line: LogLine = {
      execution_id: null,
      timestamp: new Date().toISOString(),
      level: 'warn',
      message: 'two\nlines',
    };
    for (const follow of followers.get(id) ?? []) follow(line);
    expect((await reader?.read())?.value).toBe(`data: ${JSON.stringify(line)}\n\n`);
    await reader?.cancel();
    expect(followers.get(id)?.size).toBe(0);
  });

  it('are bounded for a reader that does not read, who is told what it missed', async () => {
    const { id } = await create({ name: 'a' });
    const response = await ask('GET', '/api/v1/functions/a/logs?follow=true');
    const line: LogLine = {
      execution_id: null,
      timestamp: new Date().toISOString(),
      level: 'log',
      message: 'x',
    };
    const emit = () => {
      for (const follow of followers.get(id) ?? []) follow(line);
    };
    for (let n = 0; n < 1500; n++) emit();
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (let n = 0; n < 1000; n++) text += (await reader?.read())?.value ?? '';
    emit();
    while (!text.includes('event: dropped')) text += (await reader?.read())?.value ?? '';
    expect(text).toMatch(/event: dropped\ndata: \{"lines":5\d\d\}/);
    await reader?.cancel();
  });
});

describe('reload', () => {
  const reload = () => json(ask('POST', '/api/v1/admin/functions/reload'), 200, ReloadAnswer);
  async function files(contents: Record<string, string | null>) {
    for (const [path, content] of Object.entries(contents)) {
      await mkdir(dirname(join(functionsDir, path)), { recursive: true });
      if (content === null) await rm(join(functionsDir, path));
      else await writeFile(join(functionsDir, path), content);
    }
  }

  it('creates, changes and deletes what came from files', async () => {
    await files({
      'hello.ts': `// @hearth:timeout 7\n${HELLO}`,
      'folder/index.ts': 'import { x } from "../_shared/x.ts";\nexport default () => x;',
      '_shared/x.ts': 'export const x = 1;',
      'README.md': '',
      '.hidden.ts': '',
      'types.d.ts': '',
      'empty/notes.txt': '',
    });
    expect(await reload()).toEqual({
      created: ['folder', 'hello'],
      updated: [],
      deleted: [],
      unchanged: [],
      errors: [],
    });
    const hello = await json(ask('GET', '/api/v1/functions/hello'), 200, FunctionRecord);
    expect(hello).toMatchObject({ timeout_seconds: 7, created_by: 'service_role' });
    await files({ '_shared/x.ts': 'export const x = 2;' });
    expect(await reload()).toMatchObject({ updated: ['folder'], unchanged: ['hello'] });
    await files({ 'hello.ts': null });
    expect(await reload()).toMatchObject({ deleted: ['hello'], unchanged: ['folder'] });
    expect(changes).toHaveLength(4);
  });

  it('leaves a function as it was when its file is broken, doubled or badly named', async () => {
    await files({ 'a.ts': HELLO, 'b.ts': HELLO });
    await reload();
    await files({ 'a.ts': 'let a b', 'b/index.ts': HELLO, 'main.ts': HELLO, 'bad name.ts': HELLO });
    const { errors: found, ...rest } = await reload();
    expect(rest).toEqual({ created: [], updated: [], deleted: [], unchanged: [] });
    expect(found.map(({ name, error }) => [name, error])).toEqual([
      ['a', 'Line 1, column 7: Expected ";" but found "b"'],
      ['b', expect.stringContaining('are both named b')],
      ['bad name', expect.stringContaining('must be 1 to 64')],
      ['main', expect.stringContaining('must not be one of')],
    ]);
    expect(await json(ask('GET', '/api/v1/functions/a'), 200, FunctionRecord)).toMatchObject({
      version: 1,
      code: HELLO,
    });
  });

  it('touches no function that was made through the API', async () => {
    await create({ name: 'a' });
    await create({ name: 'b' });
    await files({ 'a.ts': `${HELLO}// of the file` });
    const { errors: found, deleted } = await reload();
    expect(found).toEqual([
      { name: 'a', error: 'name is taken by a function that was created through the API' },
    ]);
    expect(deleted).toEqual([]);
  });

  it('deletes nothing when the folder is gone', async () => {
    await files({ 'a.ts': HELLO });
    await reload();
    await rm(functionsDir, { recursive: true });
    expect(await reload()).toMatchObject({
      deleted: [],
      errors: [{ error: expect.stringContaining('cannot be read') }],
    });
  });
});

describe('the OpenAPI document', () => {
  it('is public and complete, and each of its references leads somewhere', async () => {
    const call = {
      tenant: 'default',
      requestId: 'r1',
      principal: () => Promise.reject(new Error('must not be asked')),
    };
    const response = await api.request('/api/v1/openapi.json', {}, { call });
    const text = await response.text();
    const Operation = z.object({
      operationId: z.string(),
      summary: z.string(),
      security: z.array(z.record(z.string(), z.array(z.string()))),
      parameters: z
        .array(z.object({ name: z.string(), in: z.enum(['path', 'query']), schema: z.unknown() }))
        .optional(),
      responses: z.record(z.string().regex(/^[2-5]\d\d$/), z.object({ description: z.string().min(1) })),
    });
    const document = z
      .object({
        openapi: z.literal('3.1.0'),
        info: z.object({ title: z.string(), version: z.string() }),
        paths: z.record(z.string().startsWith('/'), z.record(z.string(), Operation)),
        components: z.object({
          schemas: z.record(z.string(), z.unknown()),
          securitySchemes: z.record(z.string(), z.object({ type: z.string() })),
        }),
      })
      .parse(JSON.parse(text));
    for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      expect(Object.keys(document.components.schemas)).toContain(name);
    }
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ id: `${method} ${path}`, path, operation })),
    );
    expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(operations.length);
    for (const { path, operation } of operations) {
      for (const [, name] of path.matchAll(/\{(\w+)\}/g)) {
        expect(operation.parameters?.map((parameter) => parameter.name)).toContain(name);
      }
      for (const scheme of operation.security.flatMap((each) => Object.keys(each))) {
        expect(Object.keys(document.components.securitySchemes)).toContain(scheme);
      }
    }
    const served = api.routes.filter(
      ({ method, path }) => method !== 'ALL' && !path.endsWith('openapi.json'),
    );
    const ids = operations.map(({ id }) => id);
    for (const { method, path } of served)
      expect(ids).toContain(`${method.toLowerCase()} ${path.replace(/:(\w+)/g, '{$1}')}`);
    for (const id of [
      'get /healthz',
      'get /readyz',
      'post /functions/v1/{name}',
      'post /api/v1/functions/{name}/invoke',
    ]) {
      expect(ids).toContain(id);
    }
  });
});

/** RFC 9562, 5.7. */
function uuidv7(ms: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(ms, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
