/** Due work that ends without being run: its function was deleted, or its time is over. */
import type { Queries } from './connection.js';

const EXPIRE_AT_ONCE = 1_000;
const EXPIRED = 'It could not be run within a day.';

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

/** Ends what waits since before that, ticks for good, and forgets the dead of `deadBefore`. */
export async function expireEvents(sql: Queries, waitingSince: Date, deadBefore: Date): Promise<void> {
  await sql`delete from events where state = 'dead' and died_at < ${deadBefore}`;
  await sql`
    with old as materialized (
      select id, trigger_type from events where state = 'waiting' and executed_at < ${waitingSince}
      limit ${EXPIRE_AT_ONCE} for update skip locked
    ), ended as (
      update events set state = 'dead', died_at = now(), last_error = ${EXPIRED}
      where id in (select id from old where trigger_type <> 'cron')
      returning id, executed_at
    ), left_out as (
      delete from events where id in (select id from old where trigger_type = 'cron') returning id, executed_at
    ), over as (
      select * from ended union all select * from left_out
    )
    update executions x set status = 'cancelled', completed_at = now(), error_message = ${EXPIRED}
    from over where x.id = over.id and x.executed_at = over.executed_at`;
}
