import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, startTestPostgres, type TestPostgres, until } from '../../test/support/postgres.js';
import { connect, type SocketConnection, type Sql } from './connection.js';

let postgres: TestPostgres;
let connection: SocketConnection;
let sql: Sql;

beforeAll(async () => {
  postgres = await startTestPostgres();
  connection = await postgres.database({ empty: true });
  sql = connect(connection, { name: 'transactions test' });
  await sql`create table things (n int)`;
});

afterAll(async () => {
  await sql?.end({ timeout: 1 });
  await postgres?.stop();
});

async function things(): Promise<unknown[]> {
  return (await sql`select n from things order by n`).map(({ n }) => n);
}

describe('a transaction', () => {
  it('is committed as a whole, or rolled back with what its work threw', async () => {
    expect(
      await sql.transaction(async (sql) => {
        await sql`insert into things values (1)`;
        await sql`insert into things values (2)`;
        return 'done';
      }),
    ).toBe('done');
    const mine = new Error('mine');
    await expect(
      sql.transaction(async (sql) => {
        await sql`insert into things values (3)`;
        throw mine;
      }),
    ).rejects.toBe(mine);
    await expect(
      sql.transaction(async (sql) => {
        await sql`insert into things values (4)`;
        await sql`select 1 / 0`;
      }),
    ).rejects.toThrow('division by zero');
    expect(await things()).toEqual([1, 2]);
  });

  it('waits for its turn when many are wanted at once, on two connections at most', async () => {
    let running = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        sql.transaction(async (sql) => {
          most = Math.max(most, ++running);
          await sql`select pg_sleep(0.005)`;
          running--;
        }),
      ),
    );
    expect(most).toBe(2);
  });

  it('whose connection is cut fails, does no harm, and the next one works', async () => {
    for (let round = 0; round < 5; round++) {
      let pid: unknown;
      const cut = sql.transaction(async (sql) => {
        await sql`insert into things values (5)`;
        pid = (await sql`select pg_backend_pid() as pid`)[0]?.pid;
        await sql`select pg_sleep(30)`;
      });
      const failed = expect(cut).rejects.toThrow();
      await until('the transaction to have begun', () => pid !== undefined);
      await run(connection, `select pg_terminate_backend(${Number(pid)})`);
      await failed;
      await sql.transaction((sql) => sql`select 1`.then(() => undefined));
    }
    expect(await things()).toEqual([1, 2]);
  });

  it('survives the loss of idle connections', async () => {
    await sql.transaction((sql) => sql`select 1`.then(() => undefined));
    const others = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'transactions test'`;
    expect((await run(connection, others)).length).toBeGreaterThan(0);
    const left = `select 1 from pg_stat_activity where application_name = 'transactions test'`;
    await until('them to be gone', async () => (await run(connection, left)).length === 0);
    await until('a transaction to work again', () =>
      sql.transaction((sql) => sql`select 1`.then(() => true)).catch(() => false),
    );
    expect(await things()).toEqual([1, 2]);
  });
});
