import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { execution } from '../../test/support/executions.js';
import { functionMeta, someone } from '../../test/support/functions.js';
import { run, startTestPostgres, type TestPostgres, until } from '../../test/support/postgres.js';
import type { SocketConnection } from './connection.js';
import { createExecutionWriter } from './execution_writer.js';
import { openStore, type Store } from './main.js';
import type { FunctionMeta } from './types.js';
import type { UsageDelta } from './usage.js';

const NOTHING = { functions: 0, versions: 0, executions: 0, keys: 0, secrets: 0, domains: 0, usage: 0 };

let postgres: TestPostgres;
let database: SocketConnection;
let store: Store;

beforeAll(async () => {
  postgres = await startTestPostgres();
  database = await postgres.database();
  store = await openStore(database, { secretKeys: ['a key of 16 characters'] });
  await store.executions.createPartitions(new Date());
});
afterAll(async () => {
  await store?.stop();
  await postgres?.stop();
});

async function tenant(slug: string): Promise<FunctionMeta> {
  const settings = { domains: [], quotas: {}, jwt: {}, retention_days: 30, jwt_secret: null };
  await store.tenants.insert({ slug, display_name: slug, ...settings }, someone);
  return await deployed(slug);
}

function deployed(tenant: string, name = 'hello'): Promise<FunctionMeta> {
  return store.functions.insert({
    tenant,
    name,
    settings: functionMeta(),
    prepared: { code: 'x', bundle: 'x', hash: 'x', imports: null },
    source: 'api',
    actor: someone,
  });
}

async function deleted(slug: string) {
  expect(await store.tenants.markDeleting(slug, someone)).toBe(true);
  return await store.tenants.delete(slug);
}

async function write(given: Parameters<typeof execution>[0]) {
  const writer = createExecutionWriter(store.sql);
  const written = execution(given);
  writer.add(written);
  await writer.stop();
  return written;
}

const batchOf = (deltas: UsageDelta[]) => ({ writer: randomUUID(), sequence: 1, deltas });

const usageOf = (fn: FunctionMeta) => ({
  ...{ tenant: fn.tenant, function_id: fn.id, function_name: fn.name, hour: new Date(0) },
  ...{ calls: 1, cpu_ms: 0, mib_seconds: 0, egress_bytes: 0, cold_starts: 0 },
});

describe('a deletion', () => {
  it('takes more than one batch of everything, and nothing of another tenant', async () => {
    const fn = await tenant('large');
    const other = await tenant('neighbour');
    await run(
      database,
      `insert into functions (tenant, name, hash, enabled, timeout_seconds, memory_limit_mb, allow_net, allow_env, allow_read,
         allow_write, allow_unauthenticated, max_concurrency, max_instances, disable_execution_logs, source)
       select 'large', 'f' || n, 'x', true, 30, 128, true, true, false, false, false, 32, 4, false, 'api' from generate_series(1, 250) n`,
    );
    for (const [id, count] of [
      [fn.id, 11_000],
      [other.id, 10],
    ])
      await run(
        database,
        `insert into executions (id, function_id, executed_at, duration_ms, version, cold_start, tenant, function_name, trigger_type, status, request_id)
         select gen_random_uuid(), '${id}', now() - n * interval '10 seconds', 1, 1, false, (select tenant from functions where id = '${id}'), 'hello', 'http', 'success', ''
         from generate_series(1, ${count}) n`,
      );
    await store.usage.add(batchOf([usageOf(fn), usageOf(other)]));
    for (const { id, tenant } of [fn, other]) {
      await run(
        database,
        `insert into events (id, tenant, function_id, trigger_type, executed_at, due_at, request_id)
         select gen_random_uuid(), '${tenant}', '${id}', 'async', now(), now(), '' from generate_series(1, 3)`,
      );
      const schedule = '* * * * *';
      await run(database, `update functions set cron_schedule = '${schedule}' where id = '${id}'`);
      await store.schedules.begin([{ functionId: id, tenant, schedule, since: new Date() }]);
    }
    expect(await deleted('large')).toEqual({
      ...NOTHING,
      functions: 251,
      versions: 1,
      executions: 11_000,
      usage: 1,
    });
    expect(await store.tenants.bySlug('large')).toBeNull();
    const [left] = await run(
      database,
      "select count(*)::int as n from executions union all select count(*)::int from usage_hours where tenant = 'neighbour'",
    );
    expect(left).toEqual({ n: 10 });
    for (const [table, count] of [
      ['events', 3],
      ['schedules', 1],
    ] as const) {
      const rows = await run(database, `select tenant from ${table}`);
      expect([table, rows]).toEqual([table, Array(count).fill({ tenant: 'neighbour' })]);
    }
    expect(await store.functions.find('neighbour', 'hello')).toMatchObject({ id: other.id });
  });

  it('is final: what a node writes late shows under no tenant, and goes', async () => {
    const fn = await tenant('reused');
    const early = await write({ tenant: 'reused', function_id: fn.id });
    expect(await store.executions.find('reused', early.id)).not.toBeNull();
    await deleted('reused');
    const again = await tenant('reused');
    const late = await write({ tenant: 'reused', function_id: fn.id });
    const own = await write({ tenant: 'reused', function_id: again.id });
    await store.usage.add(batchOf([usageOf(fn), usageOf(again)]));

    expect(await store.executions.find('reused', early.id)).toBeNull();
    expect(await store.executions.find('reused', late.id)).toBeNull();
    expect(await store.executions.find('reused', own.id)).not.toBeNull();
    const range = { from: new Date(0), to: new Date(3_600_000), group: 'function' as const, limit: 10 };
    const usage = await store.usage.read('reused', range);
    expect(usage.map(({ function_id }) => function_id)).toEqual([again.id]);
    expect(await store.tenants.dropDeparted()).toBe(1);
    expect(await store.tenants.dropDeparted()).toBe(0);
    expect(await run(database, `select id from executions where tenant = 'reused'`)).toEqual([
      { id: own.id },
    ]);
  });

  it('waits for a function that is being added at that moment, and takes it along', async () => {
    await tenant('racing');
    let inserted = () => {};
    let commit = () => {};
    const isInserted = new Promise<void>((resolve) => {
      inserted = resolve;
    });
    const mayCommit = new Promise<void>((resolve) => {
      commit = resolve;
    });
    const adding = store.sql.transaction(async (sql) => {
      await sql`
        insert into functions (tenant, name, hash, enabled, timeout_seconds, memory_limit_mb, allow_net, allow_env, allow_read,
          allow_write, allow_unauthenticated, max_concurrency, max_instances, disable_execution_logs, source)
        select tenant, 'late', hash, enabled, timeout_seconds, memory_limit_mb, allow_net, allow_env, allow_read, allow_write,
          allow_unauthenticated, max_concurrency, max_instances, disable_execution_logs, source
        from functions where tenant = 'racing'`;
      inserted();
      await mayCommit;
    });
    await isInserted;
    await run(database, "update tenants set status = 'deleting' where slug = 'racing'");
    const deletion = store.tenants.delete('racing');
    await until('the deletion to wait', async () => {
      const waiting = await run(database, "select from pg_stat_activity where wait_event_type = 'Lock'");
      return waiting.length > 0;
    });
    commit();
    await adding;
    expect(await deletion).toMatchObject({ functions: 2 });
    expect(await store.tenants.bySlug('racing')).toBeNull();
  });

  it('of a tenant that is not `deleting` does nothing', async () => {
    const fn = await tenant('alive');
    expect(await store.tenants.delete('alive')).toEqual(NOTHING);
    expect(await store.functions.byId(fn.id)).not.toBeNull();
    expect(await store.tenants.bySlug('alive')).not.toBeNull();
  });

  it('that nobody goes on with is found', async () => {
    await tenant('left');
    await store.tenants.markDeleting('left', someone);
    expect(await store.tenants.unfinishedDeletions(60_000)).toEqual([]);
    expect(await store.tenants.unfinishedDeletions(0)).toEqual(['left']);
    await store.tenants.delete('left');
    expect(await store.tenants.unfinishedDeletions(0)).toEqual([]);
  });
});
