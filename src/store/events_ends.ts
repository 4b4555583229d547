/** Due work that ends without being run: its function was deleted, or its time is over. */
import type { Queries } from './connection.js';

const EXPIRE_AT_ONCE = 1_000;
const EXPIRED = 'It could not be run within a day.';
/** Dead events that are kept of one tenant. */
export const MAX_DEAD = 1_000;

/** What waits for a function is not made any more, nor are ticks. Its executions say so; those that run go on to their ends. */
export async function cancelEvents(sql: Queries, functionId: string): Promise<void> {
  await sql`
    with gone as (
      delete from events where function_id = ${functionId} and state <> 'running' returning id, executed_at, state
    )
    update executions x set status = 'cancelled', completed_at = now(),
      error_message = 'The function was deleted before its time came.'
    from gone where gone.state = 'waiting' and x.id = gone.id and x.executed_at = gone.executed_at`;
  await sql`delete from schedules where function_id = ${functionId}`;
}

/** Ends what waits since before that, ticks for good, and forgets the dead of `deadBefore` and those that are too many. */
export async function expireEvents(sql: Queries, waitingSince: Date, deadBefore: Date): Promise<void> {
  await sql`delete from events where state = 'dead' and died_at < ${deadBefore}`;
  // What was taken while its tenant was being deleted is nobody's: no node claims it.
  await sql`delete from events e where not exists (select from tenants t where t.slug = e.tenant)`;
  while ((await expireSome(sql, waitingSince)) === EXPIRE_AT_ONCE);
  const tenants = await sql<{ tenant: string }[]>`
    select tenant from events where state = 'dead' group by tenant having count(*) > ${MAX_DEAD}`;
  await keepNewestDead(
    sql,
    tenants.map(({ tenant }) => tenant),
  );
}

/** @returns how many. */
async function expireSome(sql: Queries, waitingSince: Date): Promise<number> {
  const [row] = await sql<{ over: number }[]>`
    with old as materialized (
      select id, trigger_type from events where state = 'waiting' and taken_at < ${waitingSince}
      limit ${EXPIRE_AT_ONCE} for update skip locked
    ), ended as (
      update events set state = 'dead', died_at = now(), last_error = ${EXPIRED}
      where id in (select id from old where trigger_type <> 'cron')
      returning id, executed_at
    ), left_out as (
      delete from events where id in (select id from old where trigger_type = 'cron') returning id, executed_at
    ), over as (
      select * from ended union all select * from left_out
    ), recorded as (
      update executions x set status = 'cancelled', completed_at = now(), error_message = ${EXPIRED}
      from over where x.id = over.id and x.executed_at = over.executed_at
    )
    select count(*)::int as over from over`;
  return row?.over ?? 0;
}

/** Forgets what these tenants have of dead events beyond those that are kept. */
export async function keepNewestDead(sql: Queries, tenants: Iterable<string>): Promise<void> {
  for (const tenant of tenants)
    await sql`
      delete from events where state = 'dead' and id in (
        select id from events where state = 'dead' and tenant = ${tenant} order by died_at desc offset ${MAX_DEAD})`;
}
