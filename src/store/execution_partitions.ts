/** One partition of `executions` per UTC day: made ahead, and dropped whole when all tenants' retention is over. */
import { inBatches } from './batches.js';
import type { Queries, Sql } from './connection.js';
import { deleteExecutions } from './execution_deletion.js';

/** What a run of dropExpired has deleted. */
export interface Dropped {
  /** Names of partitions. */
  partitions: string[];
  /** Executions that were deleted one by one. */
  executions: number;
  /** Deleted functions of which no execution is left, with all their versions. */
  functions: number;
  bundles: number;
}

const DAY_MS = 86_400_000;

/** Rows that one statement deletes at most, so that none is long. */
const BATCH = 5_000;
const FUNCTIONS_AT_ONCE = 200;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** What executions are kept for where there is no tenant to say it. */
const DEFAULT_RETENTION_DAYS = 30;
const PARTITION = /^executions_(\d{4})(\d{2})(\d{2})$/;

/** Any number that nothing else in this database locks: several nodes may do this at once. */
const LOCK = 4_839_003;

/** How long a deleted function stays, so that every node's slow poll comes by and sees that it is gone. */
const GONE_AFTER_MS = DAY_MS;

export async function createPartitions(sql: Sql, now: Date, days: number): Promise<string[]> {
  const today = Math.floor(now.getTime() / DAY_MS) * DAY_MS;
  const wanted = Array.from({ length: days }, (_, index) => today + index * DAY_MS);
  const existing = new Set(await partitionNames(sql));
  const made: string[] = [];
  for (const day of wanted) {
    if (existing.has(nameOf(day))) continue;
    if (await createPartition(sql, day)) made.push(nameOf(day));
  }
  return made;
}

export async function dropExpired(sql: Sql, now: Date): Promise<Dropped> {
  const tenants = await sql<
    { slug: string; retention_days: number }[]
  >`select slug, retention_days from tenants`;
  const retentions = tenants.map((tenant) => tenant.retention_days);
  const longest = Math.max(...(retentions.length > 0 ? retentions : [DEFAULT_RETENTION_DAYS]));
  const before = (days: number) => new Date(now.getTime() - days * DAY_MS);

  const partitions: string[] = [];
  for (const name of await partitionNames(sql)) {
    const day = dayOf(name);
    if (day === null || day + DAY_MS > before(longest).getTime()) continue;
    await dropPartition(sql, name);
    partitions.push(name);
  }
  let executions = await deleteFromDefault(sql, before(longest));
  for (const { slug, retention_days } of tenants)
    if (retention_days !== longest) executions += await deleteOf(sql, slug, before(retention_days));
  const gone = new Date(now.getTime() - GONE_AFTER_MS);
  return {
    partitions,
    executions,
    functions: await purgeFunctions(sql, gone),
    bundles: await purgeBundles(sql, gone),
  };
}

/** Day by day they lie in partitions; this is what came while there was none for its day. */
function deleteFromDefault(sql: Sql, before: Date): Promise<number> {
  return inBatches(
    BATCH,
    () => sql`
      delete from executions_default where ctid = any(array(
        select ctid from executions_default where executed_at < ${before} limit ${BATCH}))`,
  );
}

/** One tenant's, found by its functions: the index is by function, and other tenants' rows are not looked at. */
async function deleteOf(sql: Sql, tenant: string, before: Date): Promise<number> {
  let total = 0;
  let after = FIRST_ID;
  for (;;) {
    const rows = await sql<{ id: string }[]>`
      select id from functions where tenant = ${tenant} and id > ${after} order by id limit ${FUNCTIONS_AT_ONCE}`;
    const last = rows.at(-1);
    if (last === undefined) return total;
    const ids = rows.map(({ id }) => id);
    total += await deleteExecutions(sql, sql`function_id in ${sql(ids)} and executed_at < ${before}`);
    after = last.id;
  }
}

/** The versions go with their function, by foreign key. */
function purgeFunctions(sql: Sql, gone: Date): Promise<number> {
  return inBatches(
    FUNCTIONS_AT_ONCE,
    () => sql`
      delete from functions where id in (
        select f.id from functions f
        where f.deleted_at < ${gone} and not exists (select from executions e where e.function_id = f.id)
        limit ${FUNCTIONS_AT_ONCE})`,
  );
}

/** A deploy may touch one at this very moment, which is why its age is looked at twice. */
function purgeBundles(sql: Sql, gone: Date): Promise<number> {
  return inBatches(
    FUNCTIONS_AT_ONCE,
    () => sql`
      delete from bundles where created_at < ${gone} and hash in (
        select b.hash from bundles b
        where b.created_at < ${gone} and not exists (select from function_versions v where v.hash = b.hash)
        limit ${FUNCTIONS_AT_ONCE})`,
  );
}

async function partitionNames(sql: Queries): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'executions'::regclass order by c.relname`;
  return rows.map(({ name }) => name);
}

/** Rows of that day that are in the default partition already move over. @returns false when another node was first. */
function createPartition(sql: Sql, day: number): Promise<boolean> {
  const name = nameOf(day);
  const from = new Date(day);
  const to = new Date(day + DAY_MS);
  return sql.transaction(async (sql) => {
    await sql`select pg_advisory_xact_lock(${LOCK})`;
    if ((await partitionNames(sql)).includes(name)) return false;
    await sql`create table ${sql(name)} (like executions including all)`;
    // No insert of that day may slip into the default partition between the move and the attachment.
    await sql`lock table executions_default in access exclusive mode`;
    await sql`
      with moved as (delete from executions_default where executed_at >= ${from} and executed_at < ${to} returning *)
      insert into ${sql(name)} select * from moved`;
    await sql.unsafe(
      `alter table executions attach partition ${name} for values from ('${from.toISOString()}') to ('${to.toISOString()}')`,
    );
    return true;
  });
}

/** It takes a lock on the whole table: rather fail and try again next time than hold everyone up. */
async function dropPartition(sql: Sql, name: string): Promise<void> {
  await sql.transaction(async (sql) => {
    await sql`set local lock_timeout = '5s'`;
    await sql`drop table if exists ${sql(name)}`;
  });
}

function nameOf(day: number): string {
  return `executions_${new Date(day).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

function dayOf(name: string): number | null {
  const [, year, month, day] = PARTITION.exec(name) ?? [];
  return year === undefined ? null : Date.UTC(Number(year), Number(month) - 1, Number(day));
}
