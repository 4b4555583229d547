/** The tenants of this installation, as every node holds them in memory. */
import type { Sealer } from '../sealing.js';
import type { Queries, Sql } from './connection.js';
import { newJwtSecret, placeOfJwtSecret, replaceJwtSecret } from './jwt_secrets.js';
import { insertTenant, type NewTenant } from './tenant_changes.js';
import type { Actor, JwtSecret, Tenant } from './types.js';

/** A tenant with what its HS256 tokens are signed with: at least one secret, the newest first. */
export interface TenantWithSecrets extends Tenant {
  jwt_secrets: JwtSecret[];
}

export interface Tenants {
  count(): Promise<number>;
  all(): Promise<TenantWithSecrets[]>;
  bySlug(slug: string): Promise<TenantWithSecrets | null>;
  /** @throws HearthError CONFLICT when the slug or a domain is taken. */
  insert(added: NewTenant, actor: Actor): Promise<void>;
  /** Slug → when it was last changed, in Unix ms: cheap to ask for again and again. */
  stamps(): Promise<Map<string, number>>;
  /**
   * The secret that the default tenant's tokens are signed with. One that is given and differs from the stored one takes
   * its place, and the stored one verifies for the grace period; where none is stored, `kept` or a random one is.
   */
  settleDefaultSecret(given: string | null, kept: string | null): Promise<string>;
}

/** How long a secret that was replaced still verifies. */
export const JWT_GRACE_MS = 24 * 3_600_000;

const DEFAULT = 'default';

export function createTenants(sql: Sql, sealer: Sealer): Tenants {
  async function read(where: ReturnType<Queries>): Promise<TenantWithSecrets[]> {
    const tenants = await sql<Tenant[]>`
      select slug, display_name, status, quotas, jwt, retention_days, secrets_revision, created_at, updated_at,
        (select coalesce(json_agg(domain order by domain), '[]') from tenant_domains d where d.tenant = slug) as domains
      from tenants ${where} order by slug`;
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
