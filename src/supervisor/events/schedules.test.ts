import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { functionMeta, someone } from '../../../test/support/functions.js';
import { startTestPostgres, type TestPostgres, until } from '../../../test/support/postgres.js';
import { openStore, type Store } from '../../store/main.js';
import type { FunctionMeta, Tenant } from '../../store/types.js';
import { newUuidv7 } from '../../store/uuidv7.js';
import { createSchedules, type Schedules } from './schedules.js';

const MINUTE_MS = 60_000;

let postgres: TestPostgres;
let store: Store;
let schedules: Schedules;

beforeAll(async () => {
  postgres = await startTestPostgres();
});

beforeEach(async () => {
  store = await openStore(await postgres.database(), { secretKeys: ['a key of 16 characters'] });
  await store.executions.createPartitions(new Date());
});

afterEach(async () => {
  await schedules.stop();
  await store.stop();
});

afterAll(async () => {
  await postgres?.stop();
});

/** Those of a node whose clock is so far ahead. */
async function start(functions: FunctionMeta[], aheadMs: number): Promise<unknown[]> {
  const errors: unknown[] = [];
  schedules = createSchedules({
    store: store.schedules,
    functions: () => functions,
    find: (id) => functions.find((fn) => fn.id === id),
    tenant: () => ({ status: 'active' }) as Tenant,
    onMade: () => {},
    onSkipped: () => {},
    newId: newUuidv7,
    now: () => Date.now() + aheadMs,
    onError: (error) => errors.push(error),
  });
  await schedules.start();
  return errors;
}

async function everySecond(): Promise<FunctionMeta> {
  const settings = functionMeta({ cron_schedule: '* * * * * *' });
  const prepared = { code: 'x', bundle: 'x', hash: 'x', imports: null };
  const added = { tenant: 'default', name: 'f', settings, prepared };
  return await store.functions.insert({ ...added, source: 'api', actor: someone });
}

async function madeTicks(): Promise<{ executed_at: Date; early: boolean }[]> {
  const rows = await store.sql<{ executed_at: Date; early: boolean }[]>`
    select e.executed_at, (trigger_payload->>'scheduled_at')::timestamptz > now() as early from executions e`;
  await store.sql`delete from events`;
  return [...rows];
}

it.each([
  ['ahead of', 10 * MINUTE_MS],
  ['behind', -10 * MINUTE_MS],
])('makes ticks at their times where its clock is %s the database’s', async (_, aheadMs) => {
  const fn = await everySecond();
  const errors = await start([fn], aheadMs);
  await until('three ticks', async () => (await madeTicks()).length >= 3);
  for (const { executed_at, early } of await madeTicks()) {
    expect(early).toBe(false);
    expect(Math.abs(executed_at.getTime() - Date.now())).toBeLessThan(MINUTE_MS);
  }
  expect(errors).toEqual([]);
});
