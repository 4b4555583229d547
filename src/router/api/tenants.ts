/** The routes that manage tenants, for the admin key alone. */

import { z } from '@hono/zod-openapi';
import type { ErrorDetail } from '../../errors.js';
import { HearthError } from '../../errors.js';
import type { Tenant } from '../../store/types.js';
import { signKey } from '../../tokens.js';
import { type Api, type ApiOptions, requireAdmin, requireScope } from './context.js';
import { MANAGING } from './functions.js';
import { readJson } from './json_body.js';
import { addRoute } from './routes.js';
import {
  TenantCreated,
  TenantDeleted,
  TenantDetails,
  TenantInput,
  TenantRecord,
  TenantSelf,
  TenantsQuery,
  TenantUpdate,
  toTenant,
} from './tenant_schemas.js';
import { invalidRequest, validate } from './validate.js';

const PATH = '/api/v1/admin/tenants';
const ONE = `${PATH}/{tenant}` as const;
const tag = 'Tenants';
const MAX_BODY = 64 * 1024;
/** The node's own: its keys are in the credentials file, and what names no tenant is for it. */
const DEFAULT = 'default';

export function addTenantRoutes(api: Api, options: ApiOptions): void {
  const { store, tenantChanged } = options;

  addRoute(
    api,
    {
      method: 'get',
      path: '/api/v1/tenant',
      tag,
      summary: 'The tenant that the request is for: its name and its quotas',
      answers: { 200: { description: 'The tenant', schema: TenantSelf } },
      errors: [...MANAGING, 'NOT_FOUND'],
    },
    async (c) => {
      const { tenant: slug } = await requireScope(c, 'read:functions');
      const own = await store.tenants.own(slug);
      if (own === null) throw notFound(slug);
      return c.json(own);
    },
  );

  addRoute(
    api,
    {
      method: 'post',
      path: PATH,
      tag,
      summary: 'Create a tenant',
      body: TenantInput,
      answers: { 201: { description: 'Created', schema: TenantCreated } },
      errors: [...MANAGING, 'INVALID_REQUEST', 'CONFLICT'],
    },
    async (c) => {
      const { actor } = await requireAdmin(c);
      if (options.singleTenant !== null) throw new HearthError('CONFLICT', options.singleTenant);
      const given = validate(TenantInput, await readJson(c.req.raw, MAX_BODY));
      checkDomains(given.domains, options.domain);
      const { slug, jwt_secret = null, display_name = slug, quotas, jwt, domains, retention_days } = given;
      await store.tenants.insert(
        {
          slug,
          display_name,
          domains,
          quotas: defined(quotas),
          jwt: defined(jwt),
          retention_days,
          jwt_secret,
        },
        actor,
      );
      await tenantChanged(slug);
      const tenant = await store.tenants.bySlug(slug);
      const secret = tenant?.jwt_secrets[0]?.secret;
      if (tenant === null || secret === undefined) throw notFound(slug); // deleted meanwhile
      const now = Math.floor(Date.now() / 1000);
      const keys = {
        anon_key: signKey(secret, 'anon', slug, now),
        service_key: signKey(secret, 'service_role', slug, now),
      };
      const headers = { location: `${PATH}/${slug}`, 'cache-control': 'no-store' };
      return c.json({ ...toTenant(tenant), ...keys }, 201, headers);
    },
  );

  addRoute(
    api,
    {
      method: 'get',
      path: PATH,
      tag,
      summary: 'List tenants by slug',
      query: TenantsQuery,
      answers: {
        200: { description: 'A page; `after` the last slug gives the next', schema: z.array(TenantRecord) },
      },
      errors: [...MANAGING, 'INVALID_REQUEST'],
    },
    async (c) => {
      await requireAdmin(c);
      const page = validate(TenantsQuery, c.req.query());
      return c.json((await store.tenants.list(page)).map(toTenant));
    },
  );

  addRoute(
    api,
    {
      method: 'get',
      path: ONE,
      tag,
      summary: 'Read a tenant, with what it has of what its quotas count',
      answers: { 200: { description: 'The tenant', schema: TenantDetails } },
      errors: [...MANAGING, 'NOT_FOUND'],
    },
    async (c) => {
      await requireAdmin(c);
      const tenant = await findTenant(options, c.req.param('tenant'));
      return c.json({ ...toTenant(tenant), usage: await store.tenants.holdings(tenant.slug) });
    },
  );

  addRoute(
    api,
    {
      method: 'patch',
      path: ONE,
      tag,
      summary: 'Change the given fields of a tenant; suspend it or take it up again',
      body: TenantUpdate,
      answers: { 200: { description: 'The tenant as it is now', schema: TenantRecord } },
      errors: [...MANAGING, 'NOT_FOUND', 'INVALID_REQUEST', 'CONFLICT'],
    },
    async (c) => {
      const { actor } = await requireAdmin(c);
      const { slug } = await findTenant(options, c.req.param('tenant'));
      const change = validate(TenantUpdate, await readJson(c.req.raw, MAX_BODY));
      checkDomains(change.domains ?? [], options.domain);
      if (slug === DEFAULT && change.status === 'suspended')
        throw new HearthError('CONFLICT', 'The default tenant cannot be suspended.');
      if (!(await store.tenants.update(slug, change, actor))) throw notFound(slug);
      await tenantChanged(slug);
      return c.json(toTenant(await findTenant(options, slug)));
    },
  );

  addRoute(
    api,
    {
      method: 'delete',
      path: ONE,
      tag,
      summary: 'Delete a tenant and everything of it but its audit log; can be repeated until it is done',
      answers: { 200: { description: 'It is gone', schema: TenantDeleted } },
      errors: [...MANAGING, 'NOT_FOUND', 'CONFLICT'],
    },
    async (c) => {
      const { actor } = await requireAdmin(c);
      const { slug } = await findTenant(options, c.req.param('tenant'));
      if (slug === DEFAULT) throw new HearthError('CONFLICT', 'The default tenant cannot be deleted.');
      if (!(await store.tenants.markDeleting(slug, actor))) throw notFound(slug);
      await tenantChanged(slug);
      await options.tenantDrained(slug);
      // What its last calls have left behind is written before it is deleted, and not after.
      await options.flushExecutions();
      const deleted = await store.tenants.delete(slug);
      await tenantChanged(slug);
      return c.json({ deleted });
    },
  );
}

/** Throws HearthError NOT_FOUND. */
async function findTenant({ store }: ApiOptions, slug = ''): Promise<Tenant> {
  const tenant = slug.length <= 63 ? await store.tenants.bySlug(slug) : null;
  if (tenant === null) throw notFound(slug);
  return tenant;
}

function notFound(slug: string): HearthError {
  return new HearthError('NOT_FOUND', `There is no tenant ${slug.slice(0, 63)}.`);
}

/** `<tenant>.<HEARTH_DOMAIN>` names that tenant, and is nobody's to take. */
function checkDomains(domains: string[], own: string | null): void {
  if (own === null) return;
  const message = `must not be ${own} or below it`;
  const details: ErrorDetail[] = domains.flatMap((domain, index) =>
    domain === own || domain.endsWith(`.${own}`) ? [{ field: `domains.${index}`, message }] : [],
  );
  if (details.length > 0) throw invalidRequest(details);
}

/** Without the members that are undefined. */
function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never;
}
