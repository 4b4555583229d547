/** What tenants' HS256 tokens are signed with: the newest signs, those before it verify until their time. */
import { randomBytes, randomUUID } from 'node:crypto';
import { HearthError } from '../errors.js';
import type { Sealer } from '../sealing.js';
import { noteAction } from './audit.js';
import type { Queries, Sql } from './connection.js';
import type { Actor } from './types.js';

export interface JwtSecrets {
  /**
   * What the tenant's tokens are signed with, noted in the audit log as used for a token of the role.
   *
   * @throws HearthError NOT_FOUND when there is no such tenant.
   */
  forToken(
    tenant: string,
    token: { role: string; sub: string | null; expires_at: string },
    actor: Actor,
  ): Promise<string>;
  /**
   * From now on `secret` signs; what was signed before verifies for `graceMs` more.
   *
   * @throws HearthError NOT_FOUND when there is no such tenant.
   */
  rotate(tenant: string, secret: string, graceMs: number, actor: Actor): Promise<{ verifiesUntil: Date }>;
}

/** Secrets of a tenant that verify: of more the oldest go, so that no token has many to be tried with. */
export const MAX_SECRETS = 5;

export function createJwtSecrets(sql: Sql, sealer: Sealer): JwtSecrets {
  return {
    forToken: (tenant, details, actor) =>
      sql.transaction(async (sql) => {
        const [row] = await sql<{ id: string; sealed: string }[]>`
          select id, sealed from tenant_jwt_secrets where tenant = ${tenant} and verifies_until is null
          order by created_at desc limit 1`;
        if (row === undefined) throw unknownTenant();
        await noteAction(sql, actor, { tenant, action: 'token.create', subject: details.sub, details });
        return sealer.open(row.sealed, placeOfJwtSecret(tenant, row.id));
      }),

    rotate: (tenant, secret, graceMs, actor) =>
      sql.transaction(async (sql) => {
        const [known] = await sql`select from tenants where slug = ${tenant} for update`;
        if (known === undefined) throw unknownTenant();
        const verifiesUntil = await replaceJwtSecret(sql, sealer, tenant, secret, graceMs);
        const details = { grace_seconds: graceMs / 1000 };
        await noteAction(sql, actor, {
          tenant,
          action: 'tenant.rotate_jwt_secret',
          subject: tenant,
          details,
        });
        return { verifiesUntil };
      }),
  };
}

export function newJwtSecret(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * Those that verified until now do so for `graceMs` more, or as long as they were to. Part of a transaction.
 *
 * @returns until when the one that signed verifies.
 */
export async function replaceJwtSecret(
  sql: Queries,
  sealer: Sealer,
  tenant: string,
  secret: string,
  graceMs: number,
): Promise<Date> {
  const until = new Date(Date.now() + graceMs);
  await sql`
    update tenant_jwt_secrets set verifies_until = least(coalesce(verifies_until, 'infinity'), ${until}::timestamptz)
    where tenant = ${tenant}`;
  await sql`
    delete from tenant_jwt_secrets where tenant = ${tenant} and (verifies_until <= now() or id not in (
      select id from tenant_jwt_secrets where tenant = ${tenant} order by created_at desc limit ${MAX_SECRETS - 1}))`;
  const id = randomUUID();
  await sql`insert into tenant_jwt_secrets ${sql({ id, tenant, sealed: sealer.seal(secret, placeOfJwtSecret(tenant, id)) })}`;
  await sql`update tenants set updated_at = clock_timestamp() where slug = ${tenant}`;
  return until;
}

/** Where a secret's sealed text belongs. */
export function placeOfJwtSecret(tenant: string, id: string): string {
  return `jwt ${tenant}/${id}`;
}

function unknownTenant(): HearthError {
  return new HearthError('NOT_FOUND', 'There is no such tenant.');
}
