/** The routes that manage tenants, for the admin key alone. */
import { z } from '@hono/zod-openapi';
import type { Tenant } from '../../store/types.js';
import { type Api, type ApiOptions, requireAdmin } from './context.js';
import { MANAGING } from './functions.js';
import { readJson } from './json_body.js';
import { addRoute } from './routes.js';
import { validate } from './validate.js';

const PATH = '/api/v1/admin/tenants';
const tag = 'Tenants';
const MAX_BODY = 64 * 1024;

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional();
export const QuotasField = z
  .strictObject({
    calls_per_minute: count,
    calls_per_day: count,
    concurrent_calls: count,
    live_processes: count,
    memory_mib: count,
    functions: count,
    code_bytes: count,
    cpu_seconds_per_month: count,
  })
  .openapi('Quotas', { description: 'What is not there is not limited.' });

const domainField = z
  .string()
  .max(253)
  .regex(/^(?!-)[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'must be a domain name in lower case');

export const TenantInput = z
  .strictObject({
    slug: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 of a-z, 0-9 and "-", not at an end'),
    display_name: z.string().min(1).max(200).optional(),
    domains: z.array(domainField).max(50).default([]),
    quotas: QuotasField.default({}),
    retention_days: z.number().int().min(1).max(3650).default(30),
  })
  .openapi('TenantInput');

export const TenantRecord = z
  .strictObject({
    slug: z.string(),
    display_name: z.string(),
    status: z.enum(['active', 'suspended', 'deleting']),
    domains: z.array(z.string()),
    quotas: QuotasField,
    jwt: z.strictObject({
      jwks_url: z.string().optional(),
      issuer: z.string().optional(),
      audience: z.string().optional(),
    }),
    retention_days: z.number().int(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .openapi('Tenant');

export function addTenantRoutes(api: Api, { store, tenantChanged }: ApiOptions): void {
  addRoute(
    api,
    {
      method: 'post',
      path: PATH,
      tag,
      summary: 'Create a tenant',
      body: TenantInput,
      answers: { 201: { description: 'Created', schema: TenantRecord } },
      errors: [...MANAGING, 'INVALID_REQUEST', 'CONFLICT'],
    },
    async (c) => {
      const { actor } = await requireAdmin(c);
      const given = validate(TenantInput, await readJson(c.req.raw, MAX_BODY));
      const { slug } = given;
      await store.tenants.insert(
        { ...given, display_name: given.display_name ?? slug, jwt: {}, jwt_secret: null } as never,
        actor,
      );
      await tenantChanged(slug);
      const tenant = await store.tenants.bySlug(slug);
      return c.json(toTenant(tenant as Tenant), 201, { location: `${PATH}/${slug}` });
    },
  );
}

function toTenant(tenant: Tenant): z.output<typeof TenantRecord> {
  const { slug, display_name, status, domains, quotas, jwt, retention_days } = tenant;
  const times = {
    created_at: tenant.created_at.toISOString(),
    updated_at: tenant.updated_at.toISOString(),
  };
  return { slug, display_name, status, domains, quotas, jwt, retention_days, ...times } as never;
}
