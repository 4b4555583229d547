import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPostgres, type TestPostgres, until } from '../../test/support/postgres.js';
import { connect, type Sql } from './connection.js';
import { createUsage, type Usage, type UsageBatch } from './usage.js';

let postgres: TestPostgres;
let sql: Sql;
let usage: Usage;

beforeAll(async () => {
  postgres = await startTestPostgres();
  sql = connect(await postgres.database(), { max: 4, name: 'usage test' });
  usage = createUsage(sql);
});
afterAll(async () => {
  await sql?.end();
  await postgres?.stop();
});

function batch(tenant: string, given: Partial<UsageBatch> = {}): UsageBatch {
  const figures = { calls: 3, cpu_ms: 1.5, mib_seconds: 64, egress_bytes: 100, cold_starts: 1 };
  const delta = { tenant, function_id: randomUUID(), function_name: 'hello', hour: new Date(0), ...figures };
  return { writer: randomUUID(), sequence: 1, deltas: [delta], ...given };
}

async function calls(tenant: string): Promise<number | undefined> {
  const rows = await usage.read(tenant, {
    from: new Date(0),
    to: new Date(3_600_000),
    group: 'total',
    limit: 1,
  });
  return rows[0]?.calls;
}

describe('usage', () => {
  it('is added once, however often its batch is sent', async () => {
    const first = batch('repeats');
    for (let time = 0; time < 3; time++) await usage.add(first);
    expect(await calls('repeats')).toBe(3);
    const next = { ...first, sequence: 2 };
    await usage.add(next);
    await usage.add(first);
    await usage.add(next);
    expect(await calls('repeats')).toBe(6);
  });

  it('is added once when its batch is sent again while the first is not committed', async () => {
    const sent = batch('overlaps');
    const again = await sql.transaction(async (first) => {
      await createUsage(first as Sql).add(sent);
      const second = usage.add(sent);
      await until('the second to wait for the first', async () => {
        const waiting = await sql`select from pg_locks where not granted`;
        return waiting.length > 0;
      });
      return { second };
    });
    await again.second;
    expect(await calls('overlaps')).toBe(3);
  });

  it('is added for a batch whose first attempt was rolled back', async () => {
    const sent = batch('breaks off');
    const broken = sql.transaction(async (first) => {
      await createUsage(first as Sql).add(sent);
      throw new Error('the connection is gone');
    });
    await expect(broken).rejects.toThrow('gone');
    await usage.add(sent);
    expect(await calls('breaks off')).toBe(3);
  });

  it('of several writers is added up', async () => {
    const { deltas } = batch('together');
    await Promise.all([1, 2, 3].map(() => usage.add(batch('together', { deltas }))));
    expect(await calls('together')).toBe(9);
  });

  it('forgets writers that have written nothing for 13 months', async () => {
    const old = batch('old');
    await usage.add(old);
    await sql`update usage_writers set written_at = now() - interval '14 months' where writer = ${old.writer}`;
    await usage.dropExpired();
    expect(await sql`select from usage_writers where writer = ${old.writer}`).toHaveLength(0);
  });
});
