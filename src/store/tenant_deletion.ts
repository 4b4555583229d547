/**
 * Deletes everything of a tenant, in many short transactions: however much there is, nothing is locked for long, and
 * what was done stays done when the connection is lost. Said again, it goes on where it was.
 */
import { inBatches } from './batches.js';
import type { Queries, Sql } from './connection.js';
import { deleteExecutions } from './execution_deletion.js';

/** How many rows of each kind are gone. */
export interface DeletedRows {
  functions: number;
  versions: number;
  executions: number;
  keys: number;
  secrets: number;
  domains: number;
  usage: number;
}

const BATCH = 5_000;
/** Of these each may have many versions and executions. */
const FUNCTIONS_BATCH = 200;
/** Days for which what is written late of a function's executions is looked for. */
const DEPARTED_DAYS = 40;

/**
 * The tenant has the status `deleting` before, so that nothing of it runs. Its audit log stays.
 *
 * @throws what the database says: the tenant is then still `deleting`.
 */
export async function deleteTenant(sql: Sql, slug: string): Promise<DeletedRows> {
  const deleted: DeletedRows = {
    functions: 0,
    versions: 0,
    executions: 0,
    keys: 0,
    secrets: 0,
    domains: 0,
    usage: 0,
  };
  do {
    for (let ids = await functionsOf(sql, slug); ids.length > 0; ids = await functionsOf(sql, slug))
      await deleteFunctions(sql, ids, deleted);
    for (const [table, kind] of TABLES) {
      const count = await inBatches(
        BATCH,
        () => sql`
          delete from ${sql(table)} where ctid = any(array(
            select ctid from ${sql(table)} where tenant = ${slug} and ${isDeleting(sql, slug)} limit ${BATCH}))`,
      );
      if (kind !== null) deleted[kind] += count;
    }
  } while (!(await deleteLast(sql, slug)));
  return deleted;
}

async function deleteFunctions(sql: Queries, ids: string[], deleted: DeletedRows): Promise<void> {
  // From here on what is written of them late belongs to nobody.
  await sql`insert into departed_functions (id) select id from functions where id in ${sql(ids)} on conflict do nothing`;
  deleted.executions += await deleteExecutions(sql, sql`function_id in ${sql(ids)}`);
  deleted.versions += await inBatches(
    FUNCTIONS_BATCH,
    () => sql`
      delete from function_versions where (function_id, version) in (
        select function_id, version from function_versions where function_id in ${sql(ids)} limit ${FUNCTIONS_BATCH})`,
  );
  deleted.secrets += (await sql`delete from secrets where function_id in ${sql(ids)}`).count;
  deleted.functions += (await sql`delete from functions where id in ${sql(ids)}`).count;
}

/**
 * The tenant itself; what cannot be without it goes with it, by foreign key. While its row is locked no function can be
 * added. @returns false when one had been added before.
 */
function deleteLast(sql: Sql, slug: string): Promise<boolean> {
  return sql.transaction(async (sql) => {
    await sql`select from tenants where slug = ${slug} for update`;
    if ((await functionsOf(sql, slug)).length > 0) return false;
    await sql`delete from tenants where slug = ${slug} and status = 'deleting'`;
    return true;
  });
}

/** What has no function above it, and how it is counted. */
const TABLES: [table: string, kind: keyof DeletedRows | null][] = [
  ['events', null],
  ['schedules', null],
  ['api_keys', 'keys'],
  ['secrets', 'secrets'],
  ['tenant_domains', 'domains'],
  ['usage_hours', 'usage'],
  ['quota_windows', null],
  ['quota_gauges', null],
];

async function functionsOf(sql: Queries, slug: string): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select id from functions where tenant = ${slug} and ${isDeleting(sql, slug)} order by id limit ${FUNCTIONS_BATCH}`;
  return rows.map(({ id }) => id);
}

/** Looked at by each statement: once the deletion is over, another tenant may take the slug. */
function isDeleting(sql: Queries, slug: string) {
  return sql`exists (select from tenants where slug = ${slug} and status = 'deleting')`;
}

/** Tenants whose deletion has begun and did not end: nobody has touched them for `idleMs`. */
export async function unfinishedDeletions(sql: Queries, idleMs: number): Promise<string[]> {
  const rows = await sql<{ slug: string }[]>`
    select slug from tenants
    where status = 'deleting' and updated_at < now() - ${idleMs} * interval '1 millisecond' order by slug`;
  return rows.map(({ slug }) => slug);
}

/** Deletes what was written of executions and usage after their tenant was gone. @returns how many executions. */
export async function dropDeparted(sql: Sql): Promise<number> {
  const executions = await deleteExecutions(sql, sql`function_id in (select id from departed_functions)`);
  await sql`delete from departed_functions where at < now() - ${DEPARTED_DAYS} * interval '1 day'`;
  return executions;
}
