import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { execution, FUNCTION_ID, uuidv7 } from '../../test/support/executions.js';
import { someone } from '../../test/support/functions.js';
import { run, startTestPostgres, type TestPostgres } from '../../test/support/postgres.js';
import type { SocketConnection } from './connection.js';
import { createExecutionWriter } from './execution_writer.js';
import { openStore, type Store } from './main.js';
import type { Execution } from './types.js';

let postgres: TestPostgres;
let connection: SocketConnection;
let store: Store;

beforeAll(async () => {
  postgres = await startTestPostgres();
});

beforeEach(async () => {
  connection = await postgres.database();
  store = await openStore(connection, { secretKeys: ['a key of 16 characters'] });
  return () => store.stop();
});

afterAll(async () => {
  await postgres?.stop();
});

async function write(executions: Execution[]): Promise<void> {
  const writer = createExecutionWriter(store.sql);
  for (const one of executions) writer.add(one);
  await writer.stop();
  expect(writer.stats().dropped).toBe(0);
}

async function partitions(): Promise<Record<string, number>> {
  const rows = await run(
    connection,
    'select tableoid::regclass::text as name, count(*)::int as n from executions group by 1 order by 1',
  );
  return Object.fromEntries(rows.map(({ name, n }) => [String(name), Number(n)]));
}

describe('executions', () => {
  it('are listed newest first, filtered, page by page', async () => {
    const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 23, 57 + minute));
    const given = [
      execution({ executed_at: at(0) }),
      execution({ executed_at: at(1), status: 'error' }),
      execution({ executed_at: at(2), trigger_type: 'invoke' }),
      execution({ executed_at: at(3), status: 'timeout' }),
      execution({ executed_at: at(4) }),
    ];
    await store.executions.createPartitions(at(0));
    await write([...given, execution({ function_id: uuidv7(at(0)) }), execution({ tenant: 'other' })]);
    const [a, b, c, d, e] = given;
    const list = store.executions.list;
    expect(await list('default', FUNCTION_ID, { limit: 50 })).toEqual([e, d, c, b, a]);
    expect(await list('default', FUNCTION_ID, { limit: 2 })).toEqual([e, d]);
    expect(await list('default', FUNCTION_ID, { limit: 2, before: d?.id })).toEqual([c, b]);
    expect(await list('default', FUNCTION_ID, { limit: 50, status: 'error' })).toEqual([b]);
    expect(await list('default', FUNCTION_ID, { limit: 50, status: 'success' })).toEqual([e, c, a]);
    expect(await list('default', FUNCTION_ID, { limit: 50, trigger_type: 'invoke' })).toEqual([c]);
    expect(await list('default', FUNCTION_ID, { limit: 50, before: 'nonsense' })).toEqual([]);
  });

  it('are found by their id, for their tenant alone', async () => {
    const one = execution();
    await write([one]);
    expect(await store.executions.find('default', one.id)).toEqual(one);
    expect(await store.executions.find('other', one.id)).toBeNull();
    expect(await store.executions.find('default', uuidv7(new Date()))).toBeNull();
    expect(await store.executions.find('default', 'nonsense')).toBeNull();
    expect(await store.executions.find('default', '6f3f1c1e-5a3c-4c8e-9d6e-3f0f7c0c2b11')).toBeNull();
  });

  it('take what came after the answer', async () => {
    const one = execution({ logs: 'first', cpu_ms: null });
    await write([one]);
    expect(await store.executions.amend(one.function_id, one.id, { logs: '\nsecond\0', cpu_ms: 7.5 })).toBe(
      true,
    );
    expect(await store.executions.amend(one.function_id, one.id, { logs: '\nthird' })).toBe(true);
    expect(await store.executions.find('default', one.id)).toEqual({
      ...one,
      logs: 'first\nsecond\nthird',
      cpu_ms: 7.5,
    });
    await store.executions.amend(one.function_id, one.id, { logs: 'x'.repeat(70_000) });
    await store.executions.amend(one.function_id, one.id, { logs: 'more' });
    const cut = await store.executions.find('default', one.id);
    expect(cut?.logs).toMatch(/^first\nsecond\nthirdx+… \[cut at 64 KiB\]$/);
    expect(await store.executions.amend(one.function_id, uuidv7(new Date()), { logs: 'x' })).toBe(false);
    expect(await store.executions.amend(uuidv7(new Date()), one.id, { logs: 'x' })).toBe(false);
  });
});

describe('partitions', () => {
  const now = new Date('2026-03-30T23:30:00Z');

  it('are made ahead, once, also by several nodes at the same moment', async () => {
    const made = await Promise.all(Array.from({ length: 4 }, () => store.executions.createPartitions(now)));
    expect(made.flat().sort()).toEqual(['executions_20260330', 'executions_20260331', 'executions_20260401']);
    expect(await store.executions.createPartitions(now)).toEqual([]);
    await write([
      execution({ executed_at: now }),
      execution({ executed_at: new Date('2026-03-31T00:00:00.000Z') }),
      execution({ executed_at: new Date('2026-03-31T23:59:59.999Z') }),
    ]);
    expect(await partitions()).toEqual({ executions_20260330: 1, executions_20260331: 2 });
  });

  it('take over what the default partition held for their day, while executions are being written', async () => {
    const ahead = new Date('2027-01-01T12:00:00Z');
    await write([execution({ executed_at: ahead }), execution({ executed_at: now })]);
    expect(await partitions()).toEqual({ executions_default: 2 });
    const writer = createExecutionWriter(store.sql, { intervalMs: 1 });
    for (let n = 0; n < 2000; n++) writer.add(execution({ executed_at: now }));
    await Promise.all([writer.flush(), store.executions.createPartitions(now, 1)]);
    await writer.stop();
    expect(await partitions()).toEqual({ executions_20260330: 2001, executions_default: 1 });
  });

  it('are dropped whole when the longest retention is over; a shorter one deletes rows', async () => {
    await run(connection, `insert into tenants values ('short', 'Short', 2), ('long', 'Long', 5)`);
    await run(connection, `update tenants set retention_days = 4 where slug = 'default'`);
    const day = (n: number) => new Date(now.getTime() - n * 86_400_000);
    await store.executions.createPartitions(day(8), 6);
    const owners: [tenant: string, functionId: string][] = [];
    for (const tenant of ['default', 'short', 'long']) owners.push([tenant, (await deployed(tenant)).id]);
    await write(
      Array.from({ length: 9 }, (_, n) =>
        owners.map(([tenant, function_id]) => execution({ tenant, function_id, executed_at: day(n) })),
      ).flat(),
    );
    const dropped = await store.executions.dropExpired(new Date(now.getTime() + 1));
    // Days 6 to 8 are over for all. Of those left: default's fifth and fourth, short's fifth to second, long's fifth.
    expect(dropped.partitions).toEqual(['executions_20260322', 'executions_20260323', 'executions_20260324']);
    expect(dropped.executions).toBe(2 + 4);
    const rows = await run(
      connection,
      'select tenant, count(*)::int as n from executions group by 1 order by 1',
    );
    expect(rows).toEqual([
      { tenant: 'default', n: 4 },
      { tenant: 'long', n: 6 },
      { tenant: 'short', n: 2 },
    ]);
    expect(await store.executions.dropExpired(new Date(now.getTime() + 1))).toMatchObject({
      partitions: [],
      executions: 0,
    });
  });

  it('once empty, let deleted functions go for good, with their versions and bundles', async () => {
    const insert = (name: string, code: string) =>
      store.functions.insert({
        tenant: 'default',
        name,
        settings: SETTINGS,
        prepared: { code, bundle: code, hash: code, imports: null },
        source: 'api',
        actor: someone,
      });
    const gone = await insert('gone', 'only-gone');
    const shared = await insert('shared-gone', 'shared');
    const ran = await insert('ran', 'only-ran');
    await insert('stays', 'shared');
    for (const name of ['gone', 'shared-gone', 'ran']) await store.functions.remove('default', name, someone);
    await write([execution({ function_id: ran.id })]);

    const soon = await store.executions.dropExpired(new Date());
    expect(soon).toMatchObject({ functions: 0, bundles: 0 });
    const later = await store.executions.dropExpired(new Date(Date.now() + 2 * 86_400_000));
    expect(later).toMatchObject({ functions: 2, bundles: 1 });
    expect(await store.functions.bundle('only-gone')).toBeNull();
    expect(await store.functions.bundle('only-ran')).toBe('only-ran');
    expect(await store.functions.bundle('shared')).toBe('shared');
    const left = await run(connection, 'select function_id from function_versions');
    expect(left).toHaveLength(2);
    expect(left.map((row) => row.function_id)).not.toContain(gone.id);
    expect(left.map((row) => row.function_id)).not.toContain(shared.id);
  });
});

function deployed(tenant: string) {
  return store.functions.insert({
    tenant,
    name: 'hello',
    settings: SETTINGS,
    prepared: { code: 'x', bundle: 'x', hash: 'x', imports: null },
    source: 'api',
    actor: someone,
  });
}

const SETTINGS = {
  description: null,
  enabled: true,
  cron_schedule: null,
  timeout_seconds: 30,
  memory_limit_mb: 128,
  allow_net: true,
  allow_env: true,
  allow_read: false,
  allow_write: false,
  allow_unauthenticated: false,
  max_concurrency: 32,
  max_instances: 4,
  routes: [],
  cors: null,
  rate_limit: null,
  disable_execution_logs: false,
};
