/** What tenants' HS256 tokens are signed with. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Sealer } from '../sealing.js';
import type { Queries } from './connection.js';

export function newJwtSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** The one that signed until now verifies for `graceMs` more. Part of a transaction. */
export async function replaceJwtSecret(
  sql: Queries,
  sealer: Sealer,
  tenant: string,
  secret: string,
  graceMs: number,
): Promise<void> {
  await sql`
    update tenant_jwt_secrets set verifies_until = ${new Date(Date.now() + graceMs)}
    where tenant = ${tenant} and verifies_until is null`;
  await sql`delete from tenant_jwt_secrets where tenant = ${tenant} and verifies_until < now()`;
  const id = randomUUID();
  await sql`insert into tenant_jwt_secrets ${sql({ id, tenant, sealed: sealer.seal(secret, placeOfJwtSecret(tenant, id)) })}`;
  await sql`update tenants set updated_at = clock_timestamp() where slug = ${tenant}`;
}

/** Where a secret's sealed text belongs. */
export function placeOfJwtSecret(tenant: string, id: string): string {
  return `jwt ${tenant}/${id}`;
}
