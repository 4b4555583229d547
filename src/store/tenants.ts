/** The tenants of this installation, as every node holds them in memory. */
import type { Sealer } from '../sealing.js';
import type { Queries, Sql } from './connection.js';
import { newJwtSecret, placeOfJwtSecret, replaceJwtSecret } from './jwt_secrets.js';
import {
  insertTenant,
  markDeleting,
  type NewTenant,
  type TenantChange,
  updateTenant,
} from './tenant_changes.js';
import { type DeletedRows, deleteTenant, dropDeparted, unfinishedDeletions } from './tenant_deletion.js';
import type { Actor, JwtSecret, Tenant } from './types.js';

/** A tenant with what its HS256 tokens are signed with: at least one secret, the newest first. */
export interface TenantWithSecrets extends Tenant {
  jwt_secrets: JwtSecret[];
}

export interface Tenants {
  count(): Promise<number>;
  all(): Promise<TenantWithSecrets[]>;
  bySlug(slug: string): Promise<TenantWithSecrets | null>;
  /** What a tenant may know of itself. */
  own(slug: string): Promise<Pick<Tenant, 'slug' | 'display_name' | 'quotas' | 'retention_days'> | null>;
  /** By slug; `after` is a slug. */
  list(page: { limit: number; after?: string | undefined }): Promise<Tenant[]>;
  /** What it has of what its quotas count and nothing but the database knows. */
  holdings(slug: string): Promise<Holdings>;
  /** @throws HearthError CONFLICT when the slug or a domain is taken. */
  insert(added: NewTenant, actor: Actor): Promise<void>;
  /** False: there is no such tenant. @throws HearthError CONFLICT when a domain is taken, or it is being deleted. */
  update(slug: string, change: TenantChange, actor: Actor): Promise<boolean>;
  /** From now on it is served nowhere, and can only be deleted. False: there is no such tenant. */
  markDeleting(slug: string, actor: Actor): Promise<boolean>;
  /** Everything of a tenant that is `deleting`, but for its audit log; can be repeated. */
  delete(slug: string): Promise<DeletedRows>;
  /** Those `deleting` that nothing happened to for `idleMs`. */
  unfinishedDeletions(idleMs: number): Promise<string[]>;
  /** Executions that were written after their tenant was gone. @returns how many were deleted. */
  dropDeparted(): Promise<number>;
  /** Slug → when it was last changed, in Unix ms: cheap to ask for again and again. */
  stamps(): Promise<Map<string, number>>;
  /**
   * The secret that the default tenant's tokens are signed with. One that is given and differs from the stored one takes
   * its place, and the stored one verifies for the grace period; where none is stored, `kept` or a random one is.
   */
  settleDefaultSecret(given: string | null, kept: string | null): Promise<string>;
}

/** Of a tenant's functions, the deleted ones left out. */
export interface Holdings {
  functions: number;
  /** Bytes of their current code. */
  code_bytes: number;
}

/** How long a secret that was replaced still verifies. */
export const JWT_GRACE_MS = 24 * 3_600_000;

const DEFAULT = 'default';

/** The columns of Tenant. */
const tenantColumns = (sql: Queries) => sql`
  slug, display_name, status, quotas, jwt, retention_days, secrets_revision, created_at, updated_at,
  (select coalesce(json_agg(domain order by domain), '[]') from tenant_domains d where d.tenant = slug) as domains`;

export function createTenants(sql: Sql, sealer: Sealer): Tenants {
  async function read(where: ReturnType<Queries>): Promise<TenantWithSecrets[]> {
    const tenants = await sql<Tenant[]>`
      select ${tenantColumns(sql)} from tenants ${where} order by slug`;
    const secrets = new Map<string, JwtSecret[]>();
    for (const row of await sql<(JwtSecret & { id: string; tenant: string; sealed: string })[]>`
      select id, tenant, sealed, verifies_until from tenant_jwt_secrets
      where (verifies_until is null or verifies_until > now())
        and tenant in (select slug from tenants ${where})
      order by created_at desc`) {
      const list = secrets.get(row.tenant) ?? [];
      const secret = sealer.open(row.sealed, placeOfJwtSecret(row.tenant, row.id));
      list.push({ secret, verifies_until: row.verifies_until });
      secrets.set(row.tenant, list);
    }
    return tenants.map((tenant) => ({ ...tenant, jwt_secrets: secrets.get(tenant.slug) ?? [] }));
  }

  return {
    async count() {
      const [row] = await sql<{ count: number }[]>`select count(*)::int as count from tenants`;
      return row?.count ?? 0;
    },
    all: () => read(sql``),
    async bySlug(slug) {
      const [tenant] = await read(sql`where slug = ${slug}`);
      return tenant ?? null;
    },
    own: (slug) =>
      sql.asTenant(slug, async (sql) => {
        const [row] = await sql<Tenant[]>`
          select slug, display_name, quotas, retention_days from tenants where slug = ${slug}`;
        return row ?? null;
      }),
    async list({ limit, after }) {
      return [
        ...(await sql<Tenant[]>`
          select ${tenantColumns(sql)} from tenants where slug > ${after ?? ''} order by slug limit ${limit}`),
      ];
    },
    async holdings(slug) {
      const [row] = await sql<Holdings[]>`
        select count(*)::int as functions, coalesce(sum(octet_length(v.code)), 0)::float8 as code_bytes
        from functions f join function_versions v on v.function_id = f.id and v.version = f.version
        where f.tenant = ${slug} and f.deleted_at is null`;
      return row ?? { functions: 0, code_bytes: 0 };
    },
    update: (slug, change, actor) => updateTenant(sql, slug, change, actor),
    markDeleting: (slug, actor) => markDeleting(sql, slug, actor),
    delete: (slug) => deleteTenant(sql, slug),
    unfinishedDeletions: (idleMs) => unfinishedDeletions(sql, idleMs),
    dropDeparted: () => dropDeparted(sql),
    insert: (added, actor) => insertTenant(sql, sealer, added, actor),
    async stamps() {
      const rows = await sql<{ slug: string; updated_at: Date }[]>`select slug, updated_at from tenants`;
      return new Map(rows.map(({ slug, updated_at }) => [slug, updated_at.getTime()]));
    },
    settleDefaultSecret: (given, kept) =>
      sql.transaction(async (sql) => {
        await sql`select from tenants where slug = ${DEFAULT} for update`;
        const [row] = await sql<{ id: string; sealed: string }[]>`
          select id, sealed from tenant_jwt_secrets where tenant = ${DEFAULT} and verifies_until is null
          order by created_at desc limit 1`;
        const stored = row === undefined ? null : sealer.open(row.sealed, placeOfJwtSecret(DEFAULT, row.id));
        const wanted = given ?? stored ?? kept ?? newJwtSecret();
        if (wanted !== stored) await replaceJwtSecret(sql, sealer, DEFAULT, wanted, JWT_GRACE_MS);
        return wanted;
      }),
  };
}
