/** The routes for API and service keys: made, listed, revoked. */
import { z } from '@hono/zod-openapi';
import { HearthError } from '../../errors.js';
import { hashOfKey, newKey } from '../../tokens.js';
import { type Api, type ApiOptions, requireScope } from './context.js';
import { MANAGING } from './functions.js';
import { readJson } from './json_body.js';
import { grantProblem } from './key_grants.js';
import { KeyCreated, type KeyFields, KeyInput, KeyRecord, toKey } from './key_schemas.js';
import { addRoute } from './routes.js';
import { invalidRequest, validate } from './validate.js';

const PATH = '/api/v1/keys';
const tag = 'Keys';
const MAX_BODY = 32 * 1024;
/** Characters of a key that lists show. */
const PREFIX = 12;

export function addKeyRoutes(api: Api, { store, keyChanged }: ApiOptions): void {
  addRoute(
    api,
    {
      method: 'post',
      path: PATH,
      tag,
      summary: 'Make an API or service key; the key is in this answer and never again',
      body: KeyInput,
      answers: { 201: { description: 'Made', schema: KeyCreated } },
      errors: [...MANAGING, 'INVALID_REQUEST', 'CONFLICT', 'TOO_LARGE'],
    },
    async (c) => {
      const { tenant, actor, principal } = await requireScope(c, 'write:keys');
      const fields = validate(KeyInput, await readJson(c.req.raw, MAX_BODY));
      checkTogether(fields, Date.now());
      const problem = grantProblem(principal.key, fields);
      if (problem !== null) throw new HearthError('FORBIDDEN', problem);
      const key = newKey(fields.kind);
      const row = await store.apiKeys.insert(
        {
          ...fields,
          tenant,
          prefix: key.slice(0, PREFIX),
          hash: hashOfKey(key),
          expires_at: fields.expires_at === null ? null : new Date(fields.expires_at),
        },
        actor,
      );
      return c.json({ ...toKey(row), key }, 201, { 'cache-control': 'no-store' });
    },
  );

  addRoute(
    api,
    {
      method: 'get',
      path: PATH,
      tag,
      summary: 'List the API and service keys, newest first',
      answers: { 200: { description: 'All of them; 1,000 at most', schema: z.array(KeyRecord) } },
      errors: MANAGING,
    },
    async (c) => {
      const { tenant } = await requireScope(c, 'write:keys');
      return c.json((await store.apiKeys.list(tenant)).map(toKey));
    },
  );

  addRoute(
    api,
    {
      method: 'delete',
      path: `${PATH}/{id}`,
      tag,
      summary: 'Revoke a key: refused at once on this node, within 10 s on others',
      answers: { 204: { description: 'Revoked', schema: null } },
      errors: [...MANAGING, 'NOT_FOUND'],
    },
    async (c) => {
      const { tenant, actor, principal } = await requireScope(c, 'write:keys');
      const id = z.uuid().safeParse(c.req.param('id')).data;
      const found = id === undefined ? null : await store.apiKeys.find(tenant, id);
      if (found === null) throw notFound();
      if (principal.key?.kind === 'api' && found.kind === 'service')
        throw new HearthError('FORBIDDEN', 'An API key may not revoke service keys.');
      const hash = await store.apiKeys.remove(tenant, found.id, actor);
      if (hash === null) throw notFound();
      keyChanged(hash);
      return c.body(null, 204);
    },
  );
}

/** @throws HearthError INVALID_REQUEST for fields that do not go together, or not with this time (Unix ms). */
function checkTogether({ kind, scopes, functions, expires_at }: KeyFields, now: number) {
  const details: { field: string; message: string }[] = [];
  if (kind === 'api' && scopes.length === 0)
    details.push({ field: 'scopes', message: 'an API key needs at least one' });
  if (kind === 'service' && scopes.length > 0)
    details.push({ field: 'scopes', message: 'a service key may do everything and has none' });
  if (kind === 'service' && functions !== null)
    details.push({ field: 'functions', message: 'a service key may call all of them' });
  if (expires_at !== null && Date.parse(expires_at) <= now)
    details.push({ field: 'expires_at', message: 'must be in the future' });
  if (details.length > 0) throw invalidRequest(details);
}

function notFound(): HearthError {
  return new HearthError('NOT_FOUND', 'There is no such key.');
}
