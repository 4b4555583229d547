/** The changes to tenants: each one a transaction with its entry in the audit log. */
import { type ErrorDetail, HearthError } from '../errors.js';
import type { Sealer } from '../sealing.js';
import { noteAction } from './audit.js';
import type { Queries, Sql } from './connection.js';
import { violatedUnique } from './database_errors.js';
import { newJwtSecret, replaceJwtSecret } from './jwt_secrets.js';
import type { Actor, JwtSettings, Quotas } from './types.js';

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

async function takeDomains(sql: Queries, tenant: string, domains: string[]): Promise<void> {
  if (domains.length === 0) return;
  const taken = await sql<{ domain: string }[]>`
    insert into tenant_domains (domain, tenant)
    select domain, ${tenant} from jsonb_array_elements_text(${sql.json(domains)}) as domain
    on conflict do nothing
    returning domain`;
  const got = new Set(taken.map(({ domain }) => domain));
  const details: ErrorDetail[] = domains
    .map((domain, index) => ({
      field: `domains.${index}`,
      message: `The domain ${domain} is taken.`,
      domain,
    }))
    .filter(({ domain }) => !got.has(domain))
    .map(({ field, message }) => ({ field, message }));
  const [first] = details;
  if (first !== undefined) throw new HearthError('CONFLICT', first.message, { details });
}

function slugTaken(slug: string): HearthError {
  const message = `A tenant named ${slug} exists already.`;
  return new HearthError('CONFLICT', message, { details: [{ field: 'slug', message }] });
}
