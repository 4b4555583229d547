/** The changes to functions: each one a transaction that takes the name and the routes or fails with CONFLICT. */
import { type ErrorDetail, HearthError } from '../errors.js';
import { noteAction } from './audit.js';
import { authorOf } from './author.js';
import type { Queries, Sql } from './connection.js';
import { violatedUnique } from './database_errors.js';
import { cancelEvents } from './events_ends.js';
import { deflateBundle, insertBundle } from './function_bundles.js';
import { metaColumns, settingColumns } from './function_columns.js';
import { checkFunctionQuotas, lockFunctionQuotas } from './function_quotas.js';
import type { Actor, FunctionMeta, FunctionSettings, PreparedCode } from './types.js';

export interface NewFunction {
  tenant: string;
  name: string;
  settings: FunctionSettings;
  prepared: PreparedCode;
  source: FunctionMeta['source'];
  actor: Actor;
}

export interface FunctionChange {
  settings?: Partial<FunctionSettings>;
  prepared?: PreparedCode;
  source?: FunctionMeta['source'];
  actor: Actor;
}

/** @throws HearthError CONFLICT when the name or a route is taken, QUOTA_EXCEEDED. */
export async function insertFunction(sql: Sql, added: NewFunction): Promise<FunctionMeta> {
  const deflated = await deflateBundle(added.prepared);
  try {
    return await sql.asTenant(added.tenant, async (sql) => {
      const quotas = await lockFunctionQuotas(sql, added.tenant);
      await insertBundle(sql, added.prepared.hash, deflated);
      const columns = {
        ...settingColumns(sql, added.settings),
        tenant: added.tenant,
        name: added.name,
        hash: added.prepared.hash,
        source: added.source,
        created_by: authorOf(added.actor),
      };
      const [meta] = await sql<FunctionMeta[]>`
        insert into functions ${sql(columns)} returning ${metaColumns(sql)}`;
      if (meta === undefined) throw new Error('PostgreSQL returned no row for an insert');
      await insertVersion(sql, meta, added.prepared, authorOf(added.actor));
      await takeRoutes(sql, meta);
      const bytes = Buffer.byteLength(added.prepared.code);
      await checkFunctionQuotas(sql, added.tenant, quotas, { functions: 1, bytes });
      await noteAction(sql, added.actor, {
        tenant: meta.tenant,
        action: 'function.create',
        subject: meta.name,
        details: { version: meta.version, hash: meta.hash },
      });
      return meta;
    });
  } catch (error) {
    throw refusal(error, added.name);
  }
}

/**
 * Sets what is given. Code or a bundle other than the current one makes the next version.
 *
 * @returns null when there is no such function.
 * @throws HearthError CONFLICT when a route is taken, QUOTA_EXCEEDED.
 */
export async function updateFunction(
  sql: Sql,
  tenant: string,
  name: string,
  change: FunctionChange,
): Promise<FunctionMeta | null> {
  const { settings = {}, prepared, source, actor } = change;
  const deflated = prepared === undefined ? null : await deflateBundle(prepared);
  try {
    return await sql.asTenant(tenant, async (sql) => {
      const quotas = prepared === undefined ? {} : await lockFunctionQuotas(sql, tenant);
      const current = await lockFunction(sql, tenant, name);
      if (current === null) return null;
      const before = prepared === undefined ? null : await codeOf(sql, current);
      const isNew = prepared !== undefined && (prepared.hash !== current.hash || prepared.code !== before);
      if (isNew && deflated !== null) await insertBundle(sql, prepared.hash, deflated);
      const columns = {
        ...settingColumns(sql, settings),
        version: isNew ? current.version + 1 : current.version,
        hash: isNew ? prepared.hash : current.hash,
        source: source ?? current.source,
      };
      const [meta] = await sql<FunctionMeta[]>`
        update functions set ${sql(columns)} where functions.id = ${current.id} returning ${metaColumns(sql)}`;
      if (meta === undefined) throw new Error('PostgreSQL returned no row for an update of a locked row');
      if (isNew) {
        const bytes = Buffer.byteLength(prepared.code) - Buffer.byteLength(before ?? '');
        await insertVersion(sql, meta, prepared, authorOf(actor));
        await checkFunctionQuotas(sql, tenant, quotas, { functions: 0, bytes });
      }
      if (settings.routes !== undefined) {
        await freeRoutes(sql, meta.id);
        await takeRoutes(sql, meta);
      }
      await noteAction(sql, actor, {
        tenant,
        action: 'function.update',
        subject: name,
        details: { fields: Object.keys(settings), version: meta.version, hash: meta.hash },
      });
      return meta;
    });
  } catch (error) {
    throw refusal(error, name);
  }
}

/** Marks it as deleted, frees its name and routes, removes its secrets, and cancels what waits for it. @returns its id; null when there is no such function. */
export function removeFunction(sql: Sql, tenant: string, name: string, actor: Actor): Promise<string | null> {
  return sql.asTenant(tenant, async (sql) => {
    const current = await lockFunction(sql, tenant, name);
    if (current === null) return null;
    await sql`update functions set deleted_at = now() where id = ${current.id}`;
    await freeRoutes(sql, current.id);
    await sql`delete from secrets where function_id = ${current.id}`;
    await sql`delete from code_caches where function_id = ${current.id}`;
    await cancelEvents(sql, current.id);
    await noteAction(sql, actor, { tenant, action: 'function.delete', subject: name });
    return current.id;
  });
}

/** What `created_by` says; null for the platform itself. */
async function lockFunction(sql: Queries, tenant: string, name: string): Promise<FunctionMeta | null> {
  const [meta] = await sql<FunctionMeta[]>`
    select ${metaColumns(sql)} from functions
    where functions.tenant = ${tenant} and functions.name = ${name} and functions.deleted_at is null
    for update`;
  return meta ?? null;
}

async function codeOf(sql: Queries, { id, version }: FunctionMeta): Promise<string | null> {
  const [row] = await sql<{ code: string }[]>`
    select code from function_versions where function_id = ${id} and version = ${version}`;
  return row?.code ?? null;
}

async function insertVersion(
  sql: Queries,
  meta: FunctionMeta,
  { code, imports }: PreparedCode,
  createdBy: string | null,
): Promise<void> {
  const columns = {
    function_id: meta.id,
    tenant: meta.tenant,
    version: meta.version,
    hash: meta.hash,
    code,
    imports:
      imports === null
        ? null
        : sql.json({ ...imports, resolved: imports.resolved.map((each) => ({ ...each })) }),
    created_by: createdBy,
  };
  await sql`insert into function_versions ${sql(columns)}`;
}

async function freeRoutes(sql: Queries, id: string): Promise<void> {
  await sql`delete from function_routes where function_id = ${id}`;
}

async function takeRoutes(sql: Queries, { id, tenant, routes }: FunctionMeta): Promise<void> {
  if (routes.length === 0) return;
  const taken = await sql<{ pattern: string }[]>`
    insert into function_routes (tenant, pattern, function_id)
    select ${tenant}, pattern, ${id} from jsonb_array_elements_text(${sql.json(routes)}) as pattern
    on conflict do nothing
    returning pattern`;
  const free = new Set(taken.map(({ pattern }) => pattern));
  const details: ErrorDetail[] = [];
  for (const [index, route] of routes.entries()) {
    if (!free.has(route)) details.push({ field: `routes.${index}`, message: `The route ${route} is taken.` });
  }
  const [first] = details;
  if (first !== undefined) throw new HearthError('CONFLICT', first.message, { details });
}

/** PostgreSQL's refusals that are the caller's to mend; every other error as it is. */
function refusal(error: unknown, name: string): unknown {
  if (violatedUnique(error) === 'functions_name') {
    const message = `A function named ${name} exists already.`;
    return new HearthError('CONFLICT', message, { details: [{ field: 'name', message }], cause: error });
  }
  if (isNulCharacter(error)) {
    return new HearthError(
      'INVALID_REQUEST',
      'A text contains the character U+0000, which cannot be stored.',
      {
        cause: error,
      },
    );
  }
  return error;
}

/**
 * SQLSTATE 22021 in text (character_not_in_repertoire), 22P05 in JSON (untranslatable_character): the only character of
 * JavaScript's that PostgreSQL lacks.
 */
function isNulCharacter(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === '22021' || error.code === '22P05');
}
