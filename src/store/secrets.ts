/** Functions' secrets: set, listed and removed on a tenant's behalf, read for a process. Sealed; a value never comes back out of a list. */
import { HearthError } from '../errors.js';
import type { Sealer } from '../sealing.js';
import { noteAction } from './audit.js';
import type { Queries, Sql } from './connection.js';
import type { Actor } from './types.js';

/** Whose a secret is: one function's, or where there is none, every function's of the tenant. */
export interface SecretOwner {
  tenant: string;
  /** A function's name. */
  function: string | null;
}

/** What may be known of a secret. */
export interface SecretRecord {
  name: string;
  function: string | null;
  /** See Sealer.digest. */
  digest: string;
  created_at: Date;
  updated_at: Date;
}

export interface Secrets {
  /** By name. @throws HearthError NOT_FOUND when there is no such function. */
  list(owner: SecretOwner): Promise<SecretRecord[]>;
  /**
   * The same value again changes nothing, so that no process is replaced for it.
   *
   * @throws HearthError NOT_FOUND when there is no such function, INVALID_REQUEST for one secret too many, TOO_LARGE when
   * all of them together have too many bytes.
   */
  set(owner: SecretOwner, name: string, value: string, actor: Actor): Promise<SecretChange>;
  /** @throws HearthError NOT_FOUND when there is no such function or secret. */
  remove(owner: SecretOwner, name: string, actor: Actor): Promise<Pick<SecretChange, 'functionId'>>;
  /** Names and values, for a process: a function's own, or with null the tenant's. @throws SealError */
  values(tenant: string, functionId: string | null): Promise<Record<string, string>>;
}

export interface SecretChange {
  record: SecretRecord;
  created: boolean;
  /** Null: the tenant's. */
  functionId: string | null;
}

/** Secrets that a tenant may have for all of its functions, and as many again for each one of them. */
export const MAX_SECRETS = 100;
/** Bytes of all of their values, in UTF-8: a claim brings two such sets, and the redactor is built of them. */
export const MAX_SECRET_BYTES = 128 * 1024;

export function createSecrets(sql: Sql, sealer: Sealer): Secrets {
  return {
    list: (owner) =>
      sql.asTenant(owner.tenant, async (sql) => {
        const id = await idOf(sql, owner);
        return [
          ...(await sql<SecretRecord[]>`
            select name, ${owner.function}::text as function, digest, created_at, updated_at from secrets
            where ${belongsTo(sql, owner.tenant, id)} order by name`),
        ];
      }),

    set: (owner, name, value, actor) =>
      sql.asTenant(owner.tenant, async (sql) => {
        const { tenant } = owner;
        const functionId = await lock(sql, owner);
        const place = placeOfSecret(tenant, functionId, name);
        const [before] = await sql<{ id: string; sealed: string }[]>`
          select id, sealed from secrets where ${belongsTo(sql, tenant, functionId)} and name = ${name}`;
        const changed = before === undefined || !isSealed(sealer, before.sealed, place, value);
        if (changed) {
          await checkRoom(sql, owner, functionId, name, value);
          const columns = {
            sealed: sealer.seal(value, place),
            key_id: sealer.keyId,
            digest: sealer.digest(value, tenant),
            updated_by: actor.id ?? actor.kind,
          };
          if (before === undefined)
            await sql`insert into secrets ${sql({ ...columns, tenant, function_id: functionId, name })}`;
          else
            await sql`update secrets set ${sql(columns)}, updated_at = clock_timestamp() where id = ${before.id}`;
          await announce(sql, tenant, functionId);
        }
        await noteAction(sql, actor, auditOf('secret.set', owner, name, { changed }));
        const [record] = await sql<SecretRecord[]>`
          select name, ${owner.function}::text as function, digest, created_at, updated_at from secrets
          where ${belongsTo(sql, tenant, functionId)} and name = ${name}`;
        if (record === undefined) throw new Error('PostgreSQL has no row of the secret that was just set');
        return { record, created: before === undefined, functionId };
      }),

    remove: (owner, name, actor) =>
      sql.asTenant(owner.tenant, async (sql) => {
        const { tenant } = owner;
        const functionId = await lock(sql, owner);
        const { count } = await sql`
          delete from secrets where ${belongsTo(sql, tenant, functionId)} and name = ${name}`;
        if (count === 0) throw new HearthError('NOT_FOUND', `There is no secret named ${name}.`);
        await announce(sql, tenant, functionId);
        await noteAction(sql, actor, auditOf('secret.delete', owner, name));
        return { functionId };
      }),

    values: (tenant, functionId) =>
      sql.asTenant(tenant, async (sql) => {
        const values: Record<string, string> = Object.create(null);
        for (const { name, sealed } of await sql<{ name: string; sealed: string }[]>`
          select name, sealed from secrets where ${belongsTo(sql, tenant, functionId)} order by name`)
          values[name] = sealer.open(sealed, placeOfSecret(tenant, functionId, name));
        return values;
      }),
  };
}

/** Where a secret's sealed text belongs: it opens in no other row. */
export function placeOfSecret(tenant: string, functionId: string | null, name: string): string {
  return `secret ${tenant}/${functionId ?? '*'}/${name}`;
}

function belongsTo(sql: Queries, tenant: string, functionId: string | null) {
  return functionId === null
    ? sql`tenant = ${tenant} and function_id is null`
    : sql`tenant = ${tenant} and function_id = ${functionId}`;
}

/** @throws NOT_FOUND */
async function idOf(sql: Queries, owner: SecretOwner, lock = sql``): Promise<string | null> {
  if (owner.function === null) return null;
  const [row] = await sql<{ id: string }[]>`
    select id from functions
    where tenant = ${owner.tenant} and name = ${owner.function} and deleted_at is null ${lock}`;
  if (row === undefined) throw new HearthError('NOT_FOUND', `There is no function named ${owner.function}.`);
  return row.id;
}

/** Changes of one owner's secrets happen one after another, so that the limits hold. @throws NOT_FOUND */
async function lock(sql: Queries, owner: SecretOwner): Promise<string | null> {
  if (owner.function === null) await sql`select from tenants where slug = ${owner.tenant} for update`;
  return await idOf(sql, owner, sql`for update`);
}

/** A trigger tells every node. */
async function announce(sql: Queries, tenant: string, functionId: string | null): Promise<void> {
  if (functionId === null)
    await sql`update tenants set secrets_revision = secrets_revision + 1 where slug = ${tenant}`;
  else await sql`update functions set secrets_revision = secrets_revision + 1 where id = ${functionId}`;
}

function isSealed(sealer: Sealer, sealed: string, place: string, value: string): boolean {
  try {
    return sealer.open(sealed, place) === value;
  } catch {
    return false; // sealed with a key that is lost: it is set anew
  }
}

async function checkRoom(
  sql: Queries,
  owner: SecretOwner,
  functionId: string | null,
  name: string,
  value: string,
): Promise<void> {
  // Of the sealed text's third part, in base64url without padding, the last 16 bytes are no value.
  const [others] = await sql<{ count: number; bytes: number }[]>`
    select count(*)::int as count,
      coalesce(sum(length(split_part(sealed, '.', 3)) * 3 / 4 - 16), 0)::int as bytes
    from secrets where ${belongsTo(sql, owner.tenant, functionId)} and name <> ${name}`;
  const whose = owner.function === null ? 'the tenant' : `the function ${owner.function}`;
  if ((others?.count ?? 0) >= MAX_SECRETS) {
    const message = `There are ${MAX_SECRETS} secrets of ${whose} already, which is the most there can be.`;
    throw new HearthError('INVALID_REQUEST', message, { details: [{ field: 'name', message }] });
  }
  if ((others?.bytes ?? 0) + Buffer.byteLength(value) > MAX_SECRET_BYTES) {
    const message = `All secrets of ${whose} together may have ${MAX_SECRET_BYTES} bytes; with this value they have more.`;
    throw new HearthError('TOO_LARGE', message, { details: [{ field: 'value', message }] });
  }
}

function auditOf(action: string, owner: SecretOwner, name: string, details: Record<string, unknown> = {}) {
  const ofFunction = owner.function === null ? {} : { function: owner.function };
  return { tenant: owner.tenant, action, subject: name, details: { ...ofFunction, ...details } };
}
