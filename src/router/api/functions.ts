/** The routes that manage functions: create, list, read, change, delete, versions. */
import { z } from '@hono/zod-openapi';
import { HearthError } from '../../errors.js';
import { type Api, type ApiOptions, requireScope } from './context.js';
import { deploy } from './deploy.js';
import { DEFAULT_SETTINGS, NAME, toSettings } from './fields.js';
import { readJson } from './json_body.js';
import { addRoute, type RouteOptions } from './routes.js';
import {
  FunctionInput,
  FunctionListed,
  FunctionRecord,
  FunctionUpdate,
  FunctionVersion,
  ListQuery,
  REPEATED,
  toListed,
  toRecord,
  UpdateQuery,
} from './schemas.js';
import { invalidRequest, validate } from './validate.js';

const PATH = '/api/v1/functions';
const ONE = `${PATH}/{name}` as const;
const tag = 'Functions';
/** A character of code takes up to six bytes as a JSON escape; the rest is for the other fields. */
const bodyLimit = (maxCodeBytes: number) => maxCodeBytes * 6 + 64 * 1024;

export function addFunctionRoutes(api: Api, options: ApiOptions): void {
  const { store, prepare, changed, maxCodeBytes } = options;

  addRoute(
    api,
    {
      method: 'post',
      path: PATH,
      tag,
      summary: 'Create a function',
      body: FunctionInput,
      answers: { 201: { description: 'Created', schema: FunctionRecord } },
      errors: [
        ...MANAGING,
        'INVALID_REQUEST',
        'INVALID_FUNCTION',
        'CONFLICT',
        'TOO_LARGE',
        'OVERLOADED',
        'QUOTA_EXCEEDED',
      ],
    },
    async (c) => {
      const { tenant, actor } = await requireScope(c, 'write:functions');
      const { name, code, ...given } = validate(
        FunctionInput,
        await readJson(c.req.raw, bodyLimit(maxCodeBytes)),
      );
      // Told before the code is prepared, which takes longer; the store has the last word.
      if ((await store.functions.find(tenant, name)) !== null) throw nameTaken(name);
      const { prepared, settings } = await deploy({ code, name }, prepare);
      const meta = await store.functions.insert({
        tenant,
        name,
        settings: { ...DEFAULT_SETTINGS, ...settings, ...toSettings(given) },
        prepared,
        source: 'api',
        actor,
      });
      await changed(meta.id);
      return c.json(toRecord({ ...meta, code: prepared.code }), 201, { location: `${PATH}/${name}` });
    },
  );

  addRoute(
    api,
    {
      method: 'get',
      path: PATH,
      tag,
      summary: 'List functions by name',
      query: ListQuery,
      answers: {
        200: { description: 'A page; `after` the last name gives the next', schema: z.array(FunctionListed) },
      },
      errors: [...MANAGING, 'INVALID_REQUEST'],
    },
    async (c) => {
      const { tenant } = await requireScope(c, 'read:functions');
      const page = validate(ListQuery, c.req.query());
      return c.json((await store.functions.list(tenant, page)).map(toListed));
    },
  );

  addRoute(
    api,
    {
      method: 'get',
      path: ONE,
      tag,
      summary: 'Read a function with its code',
      answers: { 200: { description: 'The function', schema: FunctionRecord } },
      errors: [...MANAGING, 'NOT_FOUND'],
    },
    async (c) => {
      const { tenant } = await requireScope(c, 'read:functions');
      return c.json(toRecord(await findFunction(options, tenant, c.req.param('name'))));
    },
  );

  for (const method of ['put', 'patch'] as const) {
    addRoute(
      api,
      {
        method,
        path: ONE,
        tag,
        summary: 'Change the given fields; new code becomes a new version',
        query: UpdateQuery,
        body: FunctionUpdate,
        answers: { 200: { description: 'The function as it is now', schema: FunctionRecord } },
        errors: [
          ...MANAGING,
          ...(['NOT_FOUND', 'INVALID_REQUEST', 'INVALID_FUNCTION', 'CONFLICT', 'TOO_LARGE'] as const),
          ...(['OVERLOADED', 'QUOTA_EXCEEDED'] as const),
        ],
      },
      async (c) => {
        const { tenant, actor } = await requireScope(c, 'write:functions');
        const current = await findFunction(options, tenant, c.req.param('name'));
        const { update_imports } = validate(UpdateQuery, c.req.query());
        const before = update_imports === 'true' ? null : current.imports;
        const update = validate(FunctionUpdate, await readJson(c.req.raw, bodyLimit(maxCodeBytes)));
        const { code, ...given } = withoutRepeated(update, toListed(current));
        const fresh =
          code === undefined ? undefined : await deploy({ code, name: current.name, before }, prepare);
        const settings = { ...fresh?.settings, ...toSettings(given) };
        if (fresh === undefined && Object.keys(settings).length === 0) return c.json(toRecord(current));
        const meta = await store.functions.update(tenant, current.name, {
          settings,
          ...(fresh === undefined ? {} : { prepared: fresh.prepared }),
          actor,
        });
        if (meta === null) throw notFound(current.name);
        await changed(meta.id);
        return c.json(toRecord({ ...meta, code: fresh?.prepared.code ?? current.code }));
      },
    );
  }

  addRoute(
    api,
    {
      method: 'delete',
      path: ONE,
      tag,
      summary: 'Delete a function',
      answers: { 204: { description: 'Deleted', schema: null } },
      errors: [...MANAGING, 'NOT_FOUND'],
    },
    async (c) => {
      const { tenant, actor } = await requireScope(c, 'write:functions');
      const name = c.req.param('name') ?? '';
      const id = NAME.test(name) ? await store.functions.remove(tenant, name, actor) : null;
      if (id === null) throw notFound(name);
      await changed(id);
      return c.body(null, 204);
    },
  );

  addRoute(
    api,
    {
      method: 'get',
      path: `${ONE}/versions`,
      tag,
      summary: "List the versions of a function's code, newest first",
      answers: { 200: { description: 'The versions', schema: z.array(FunctionVersion) } },
      errors: [...MANAGING, 'NOT_FOUND'],
    },
    async (c) => {
      const { tenant } = await requireScope(c, 'read:functions');
      const { name } = await findFunction(options, tenant, c.req.param('name'));
      const versions = await store.functions.versions(tenant, name);
      return c.json(
        versions.map((version) => ({ ...version, created_at: version.created_at.toISOString() })),
      );
    },
  );
}

/** The errors of every route that manages. */
export const MANAGING: RouteOptions['errors'] = ['UNAUTHENTICATED', 'FORBIDDEN', 'INTERNAL', 'UNAVAILABLE'];

/** Throws HearthError NOT_FOUND. */
export async function findFunction({ store }: ApiOptions, tenant: string, name = '') {
  const found = NAME.test(name) ? await store.functions.find(tenant, name) : null;
  if (found === null) throw notFound(name);
  return found;
}

function notFound(name: string): HearthError {
  return new HearthError('NOT_FOUND', `There is no function named ${name.slice(0, 64)}.`);
}

function nameTaken(name: string): HearthError {
  const message = `A function named ${name} exists already.`;
  return new HearthError('CONFLICT', message, { details: [{ field: 'name', message }] });
}

/** The update without the platform's fields, which may be there only as they are. */
function withoutRepeated(update: z.output<typeof FunctionUpdate>, current: z.output<typeof FunctionListed>) {
  const { id, tenant, name, version, created_at, updated_at, created_by, ...given } = update;
  const repeated = { id, tenant, name, version, created_at, updated_at, created_by };
  const details = REPEATED.filter(
    (field) => repeated[field] !== undefined && repeated[field] !== current[field],
  ).map((field) => ({ field, message: field === 'name' ? 'cannot be changed' : 'is set by the platform' }));
  if (details.length > 0) throw invalidRequest(details);
  return given;
}
