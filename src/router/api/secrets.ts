/** The routes that manage secrets. A value goes in and never comes out. */
import { z } from '@hono/zod-openapi';
import { HearthError } from '../../errors.js';
import { MAX_SECRET_BYTES, MAX_SECRETS, type SecretOwner, type SecretRecord } from '../../store/secrets.js';
import { type Api, type ApiOptions, requireScope } from './context.js';
import { nameField } from './fields.js';
import { MANAGING } from './functions.js';
import { readJson } from './json_body.js';
import { addRoute } from './routes.js';
import { validate } from './validate.js';

const PATH = '/api/v1/secrets';
const ONE = `${PATH}/{name}` as const;
const tag = 'Secrets';

const MAX_VALUE_BYTES = 64 * 1024;
/** A byte of a value takes up to six as a JSON escape. */
const MAX_BODY = MAX_VALUE_BYTES * 6 + 1024;

/** What the platform sets in a function's environment, and what the programs in its process go by. */
const TAKEN = /^(?:HEARTH_.*|DENO_.*|LD_.*|FLUXBASE_URL|FLUXBASE_TOKEN|SUPABASE_URL|SUPABASE_ANON_KEY)$/;
const TAKEN_TOO = new Set(['PATH', 'HOME', 'TMPDIR', 'NO_COLOR', 'NODE_OPTIONS', 'RUNNER_PATHS']);

const secretName = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
    'must be 1 to 128 letters, digits and "_", and not begin with a digit',
  )
  .refine((name) => !isTaken(name.toUpperCase()), 'is a name that the platform keeps to itself')
  .openapi({ example: 'STRIPE_KEY' });

function isTaken(name: string): boolean {
  return TAKEN.test(name) || TAKEN_TOO.has(name);
}

export const SecretInput = z
  .strictObject({
    value: z
      .string()
      .min(1, 'must not be empty')
      .refine((value) => !value.includes('\0'), 'must not contain a NUL character')
      .refine((value) => !/\p{Surrogate}/u.test(value), 'must not contain half of a surrogate pair'),
  })
  .openapi('SecretInput', {
    description: `1 byte to 64 KiB of UTF-8. At most ${MAX_SECRETS} secrets and ${MAX_SECRET_BYTES / 1024} KiB of the tenant, and as much of each function.`,
  });

export const Secret = z
  .strictObject({
    name: z.string(),
    function: z.string().nullable().openapi({ description: 'Null: of every function of the tenant.' }),
    digest: z.string().openapi({
      description:
        'Of the value: the same for the same value in this tenant, until HEARTH_SECRET_KEY is replaced.',
    }),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .openapi('Secret');

const SecretsQuery = z.strictObject({
  function: nameField.optional().openapi({ description: "One function's own secrets." }),
});

export function addSecretRoutes(api: Api, options: ApiOptions): void {
  const { store } = options;

  addRoute(
    api,
    {
      method: 'get',
      path: PATH,
      tag,
      summary: 'List secrets by name: digests and times, never values',
      query: SecretsQuery,
      answers: { 200: { description: 'All of them', schema: z.array(Secret) } },
      errors: [...MANAGING, 'INVALID_REQUEST', 'NOT_FOUND'],
    },
    async (c) => {
      const { tenant } = await requireScope(c, 'write:secrets');
      const owner = ownerOf(tenant, c.req.query());
      return c.json((await store.secrets.list(owner)).map(toSecret));
    },
  );

  addRoute(
    api,
    {
      method: 'put',
      path: ONE,
      tag,
      summary: 'Set a secret; the next call finds it in its environment',
      query: SecretsQuery,
      body: SecretInput,
      answers: {
        200: { description: 'It was there before', schema: Secret },
        201: { description: 'Created', schema: Secret },
      },
      errors: [...MANAGING, 'INVALID_REQUEST', 'NOT_FOUND', 'TOO_LARGE'],
    },
    async (c) => {
      const { tenant, actor } = await requireScope(c, 'write:secrets');
      const owner = ownerOf(tenant, c.req.query());
      const { name } = validate(z.object({ name: secretName }), { name: c.req.param('name') });
      const { value } = validate(SecretInput, await readJson(c.req.raw, MAX_BODY, 'confidential'));
      if (Buffer.byteLength(value) > MAX_VALUE_BYTES)
        throw new HearthError('TOO_LARGE', `The value is over the limit of ${MAX_VALUE_BYTES} bytes.`);
      const { record, created, functionId } = await store.secrets.set(owner, name, value, actor);
      await applied(options, tenant, functionId);
      return c.json(toSecret(record), created ? 201 : 200);
    },
  );

  addRoute(
    api,
    {
      method: 'delete',
      path: ONE,
      tag,
      summary: 'Delete a secret; the next call does not find it any more',
      query: SecretsQuery,
      answers: { 204: { description: 'Deleted', schema: null } },
      errors: [...MANAGING, 'INVALID_REQUEST', 'NOT_FOUND'],
    },
    async (c) => {
      const { tenant, actor } = await requireScope(c, 'write:secrets');
      const owner = ownerOf(tenant, c.req.query());
      const { name } = validate(z.object({ name: secretName }), { name: c.req.param('name') });
      const { functionId } = await store.secrets.remove(owner, name, actor);
      await applied(options, tenant, functionId);
      return c.body(null, 204);
    },
  );
}

function ownerOf(tenant: string, query: Record<string, string>): SecretOwner {
  return { tenant, function: validate(SecretsQuery, query).function ?? null };
}

/** Resolves when no call on this node will get a process that has the older secrets. */
async function applied({ changed, tenantChanged }: ApiOptions, tenant: string, functionId: string | null) {
  if (functionId === null) await tenantChanged(tenant);
  else await changed(functionId);
}

function toSecret(record: SecretRecord): z.output<typeof Secret> {
  return {
    ...record,
    created_at: record.created_at.toISOString(),
    updated_at: record.updated_at.toISOString(),
  };
}
