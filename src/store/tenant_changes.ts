/** The changes to tenants: each one a transaction with its entry in the audit log. */
import { type ErrorDetail, HearthError } from '../errors.js';
import type { Sealer } from '../sealing.js';
import { noteAction } from './audit.js';
import type { Queries, Sql } from './connection.js';
import { violatedUnique } from './database_errors.js';
import { newJwtSecret, replaceJwtSecret } from './jwt_secrets.js';
import type { Actor, JwtSettings, Quotas, TenantStatus } from './types.js';

export interface NewTenant {
  slug: string;
  display_name: string;
  /** Lower case, without a port. */
  domains: string[];
  quotas: Quotas;
  jwt: JwtSettings;
  retention_days: number;
  /** What its tokens are signed with; null: a random one. */
  jwt_secret: string | null;
}

/** What is not there stays as it is. In `quotas` and `jwt` null takes a member away (RFC 7396). */
export interface TenantChange {
  display_name?: string | undefined;
  /** All of them. */
  domains?: string[] | undefined;
  quotas?: Patch<Quotas> | undefined;
  jwt?: Patch<JwtSettings> | undefined;
  retention_days?: number | undefined;
  status?: 'active' | 'suspended' | undefined;
}

export type Patch<T> = { [K in keyof T]?: T[K] | null | undefined };

/** @throws HearthError CONFLICT when the slug or a domain is taken. */
export async function insertTenant(sql: Sql, sealer: Sealer, added: NewTenant, actor: Actor): Promise<void> {
  const { slug, display_name, retention_days } = added;
  try {
    await sql.transaction(async (sql) => {
      const columns = {
        slug,
        display_name,
        retention_days,
        quotas: sql.json({ ...added.quotas }),
        jwt: sql.json({ ...added.jwt }),
      };
      await sql`insert into tenants ${sql(columns)}`;
      await takeDomains(sql, slug, added.domains);
      await replaceJwtSecret(sql, sealer, slug, added.jwt_secret ?? newJwtSecret(), 0);
      await noteAction(sql, actor, { tenant: slug, action: 'tenant.create', subject: slug });
    });
  } catch (error) {
    throw violatedUnique(error) === 'tenants_pkey' ? slugTaken(slug) : error;
  }
}

/**
 * Sets what is given.
 *
 * @returns false when there is no such tenant.
 * @throws HearthError CONFLICT when a domain is taken, or the tenant is being deleted.
 */
export function updateTenant(sql: Sql, slug: string, change: TenantChange, actor: Actor): Promise<boolean> {
  const { display_name, domains, quotas, jwt, retention_days, status } = change;
  return sql.transaction(async (sql) => {
    const current = await lockTenant(sql, slug);
    if (current === null) return false;
    if (current.status === 'deleting') throw beingDeleted(slug);
    await sql`
      update tenants set
        display_name = coalesce(${display_name ?? null}, display_name),
        retention_days = coalesce(${retention_days ?? null}, retention_days),
        status = ${status ?? current.status},
        quotas = ${sql.json({ ...patched(current.quotas, quotas) })},
        jwt = ${sql.json({ ...patched(current.jwt, jwt) })}
      where slug = ${slug}`;
    if (domains !== undefined) {
      await sql`delete from tenant_domains where tenant = ${slug}`;
      await takeDomains(sql, slug, domains);
    }
    const fields = Object.entries({ display_name, domains, quotas, jwt, retention_days })
      .filter(([, value]) => value !== undefined)
      .map(([name]) => name);
    if (fields.length > 0)
      await noteAction(sql, actor, {
        tenant: slug,
        action: 'tenant.update',
        subject: slug,
        details: { fields },
      });
    if (status !== undefined && status !== current.status) {
      const action = status === 'suspended' ? 'tenant.suspend' : 'tenant.activate';
      await noteAction(sql, actor, { tenant: slug, action, subject: slug });
    }
    return true;
  });
}

/**
 * From now on the tenant is served nowhere, and can only be deleted. Saying so again changes nothing.
 *
 * @returns false when there is no such tenant.
 */
export function markDeleting(sql: Sql, slug: string, actor: Actor): Promise<boolean> {
  return sql.transaction(async (sql) => {
    const current = await lockTenant(sql, slug);
    if (current === null) return false;
    if (current.status === 'deleting') return true;
    await sql`update tenants set status = 'deleting' where slug = ${slug}`;
    await noteAction(sql, actor, { tenant: slug, action: 'tenant.delete', subject: slug });
    return true;
  });
}

/** The members of `current` with those of `patch` over them; what is null there is gone. */
export function patched<T extends object>(current: T, patch: Patch<T> | undefined): Partial<T> {
  const given = Object.entries(patch ?? {}).filter(([, value]) => value !== undefined);
  const kept = Object.entries({ ...current, ...Object.fromEntries(given) }).filter(
    ([, value]) => value !== null,
  );
  return Object.fromEntries(kept) as Partial<T>;
}

interface LockedTenant {
  status: TenantStatus;
  quotas: Quotas;
  jwt: JwtSettings;
}

async function lockTenant(sql: Queries, slug: string): Promise<LockedTenant | null> {
  const [row] = await sql<
    LockedTenant[]
  >`select status, quotas, jwt from tenants where slug = ${slug} for update`;
  return row ?? null;
}

async function takeDomains(sql: Queries, tenant: string, domains: string[]): Promise<void> {
  if (domains.length === 0) return;
  const taken = await sql<{ domain: string }[]>`
    insert into tenant_domains (domain, tenant)
    select domain, ${tenant} from jsonb_array_elements_text(${sql.json(domains)}) as domain
    on conflict do nothing
    returning domain`;
  const got = new Set(taken.map(({ domain }) => domain));
  const details: ErrorDetail[] = [];
  for (const [index, domain] of domains.entries()) {
    if (!got.has(domain))
      details.push({ field: `domains.${index}`, message: `The domain ${domain} is taken.` });
  }
  const [first] = details;
  if (first !== undefined) throw new HearthError('CONFLICT', first.message, { details });
}

function slugTaken(slug: string): HearthError {
  const message = `A tenant named ${slug} exists already.`;
  return new HearthError('CONFLICT', message, { details: [{ field: 'slug', message }] });
}

function beingDeleted(slug: string): HearthError {
  return new HearthError('CONFLICT', `The tenant ${slug} is being deleted.`);
}
