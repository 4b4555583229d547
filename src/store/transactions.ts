/**
 * Transactions that survive the loss of their connection.
 *
 * Not `sql.begin()`: when its connection is lost, postgres.js 3.4.9 sends the ROLLBACK into a socket that is gone, from a
 * callback where nobody can catch the TypeError, which ends the process (porsager/postgres#1208). Nor `sql.reserve()`,
 * which never returns on a new connection without `fetch_types`. Here each transaction has a client of one connection to
 * itself, to which nothing is sent once a query has failed for the connection, and which is then thrown away.
 */
import postgres from 'postgres';
import { isDatabaseAway } from './database_errors.js';

/** What a query needs that may run in a transaction or in none. */
export type Queries = postgres.ISql;

/**
 * Commits what `work` does, or rolls it back and throws what `work` threw. An error that comes with COMMIT itself and is
 * the connection's leaves the outcome unknown.
 *
 * `work` waits for each of its queries before the next one, and for nothing but queries: so the connection cannot be
 * lost unnoticed between two of them, and the rest of it run outside the transaction.
 */
export type Transaction = <T>(work: (sql: Queries) => Promise<T>) => Promise<T>;

export interface Transactions {
  transaction: Transaction;
  end(options?: { timeout?: number }): Promise<void>;
}

/** The others wait their turn: changes are short and rare, and connections are dear. */
const MAX_CLIENTS = 2;

interface Client {
  sql: postgres.Sql;
  lost: boolean;
}

/** @param open makes a client of at most one connection, and tells when that is closed. */
export function createTransactions(open: (onClose: () => void) => postgres.Sql): Transactions {
  const idle: Client[] = [];
  const clients = new Set<Client>();
  const waiting: (() => void)[] = [];
  let busy = 0;

  function acquire(): Client {
    const known = idle.pop();
    if (known !== undefined) return known;
    const client: Client = { sql: open(() => lose(client)), lost: false };
    clients.add(client);
    return client;
  }

  function lose(client: Client): void {
    if (client.lost) return;
    client.lost = true;
    clients.delete(client);
    const at = idle.indexOf(client);
    if (at >= 0) idle.splice(at, 1);
    void client.sql.end({ timeout: 0 });
  }

  async function run<T>(client: Client, work: (sql: Queries) => Promise<T>): Promise<T> {
    const { sql } = client;
    try {
      await sql.unsafe('begin');
      const result = await work(sql);
      if (client.lost) throw new Error('the connection was lost in a transaction');
      await sql.unsafe('commit');
      return result;
    } catch (error) {
      if (isLost(error)) lose(client);
      // What cannot be rolled back ends with its connection.
      else if (!client.lost) await sql.unsafe('rollback').catch(() => lose(client));
      throw error;
    }
  }

  return {
    async transaction(work) {
      if (busy >= MAX_CLIENTS) await new Promise<void>((turn) => waiting.push(turn));
      else busy++;
      const client = acquire();
      try {
        return await run(client, work);
      } finally {
        if (!client.lost) idle.push(client);
        const next = waiting.shift();
        if (next === undefined) busy--;
        else next();
      }
    },
    async end(options) {
      await Promise.all([...clients].map(({ sql }) => sql.end(options)));
    },
  };
}

function isLost(error: unknown): boolean {
  if (error instanceof postgres.PostgresError)
    return error.severity === 'FATAL' || error.severity === 'PANIC';
  return isDatabaseAway(error);
}
