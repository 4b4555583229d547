/** The way to PostgreSQL: an address that can be sent to another process, and a pool of connections to it. */
import postgres from 'postgres';
import { messageOf, StartError } from '../errors.js';
import { createTransactions, type Queries, type Transaction } from './transactions.js';

export type { Queries };

/** A pool of connections: a query on it runs on any of them. */
export interface Sql extends Queries {
  /** Where it connects to. */
  readonly options: postgres.Sql['options'];
  transaction: Transaction;
  /**
   * A transaction on a tenant's behalf: as the role `hearth_tenant`, for which row-level security lets no other tenant's
   * row be seen or written.
   */
  asTenant<T>(tenant: string, work: (sql: Queries) => Promise<T>): Promise<T>;
  /** Lets running queries end, `timeout` seconds at most, and closes all connections. */
  end(options?: { timeout?: number }): Promise<void>;
}

/** A server that listens on a Unix socket: the embedded one. */
export interface SocketConnection {
  /** The absolute path of the socket's folder. */
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

/** Plain data: goes to cluster workers as it is. */
export type Connection = { url: string } | SocketConnection;

/** What a pool is opened with. */
export interface PoolOptions {
  /** Connections at most; opened as they are needed. Default 10. */
  max?: number;
  /** Shown in `pg_stat_activity.application_name`. Default `hearth`. */
  name?: string;
  /** Told of every NOTIFY on a channel that a connection of this pool listens on. */
  onNotification?: (channel: string, payload: string) => void;
  /** Told when a connection is closed, whoever closed it. */
  onClose?: () => void;
}

/** The oldest major version whose SQL is all there. */
const OLDEST = 14;

/**
 * Opens a pool. Nothing is sent before the first query. Transactions open up to two connections besides it.
 *
 * @throws StartError for a bad URL.
 */
export function connect(connection: Connection, options: PoolOptions = {}): Sql {
  const pool = openClient(connection, options);
  const { name = 'hearth' } = options;
  const transactions = createTransactions((onClose) => openClient(connection, { name, max: 1, onClose }));
  const endPool = pool.end;
  return Object.assign(pool, {
    transaction: transactions.transaction,
    asTenant: <T>(tenant: string, work: (sql: Queries) => Promise<T>) =>
      transactions.transaction(async (sql) => {
        await sql`select set_config('hearth.tenant', ${tenant}, true), set_config('role', 'hearth_tenant', true)`;
        return await work(sql);
      }),
    async end(options?: { timeout?: number }) {
      await Promise.all([transactions.end(options), endPool(options)]);
    },
  });
}

function openClient(connection: Connection, client: PoolOptions): postgres.Sql {
  const { max = 10, name = 'hearth', onNotification = () => {}, onClose = () => {} } = client;
  const options = {
    max,
    connect_timeout: 5,
    // Seconds before the next attempt: short enough for a restarted database to be found within a second.
    backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 1),
    // It asks in the background for what only array columns need, and nobody could catch that query's failure.
    fetch_types: false,
    onnotice: () => {},
    onnotify: onNotification,
    onclose: onClose,
    connection: { application_name: name },
  };
  if (!('url' in connection)) return postgres({ ...connection, ...options });
  try {
    if (!/^postgres(ql)?:\/\//.test(connection.url)) throw new Error('another protocol');
    return postgres(connection.url, options);
  } catch {
    // The cause would show the URL, and the password in it.
    throw new StartError(
      'DATABASE_URL is not a PostgreSQL URL, such as postgres://user:password@host:5432/database',
    );
  }
}

/** Where a server listens, as far as that is on the network; none for a Unix socket. */
export function endpointsOf(connection: Connection): { host: string; port: number }[] {
  if (!('url' in connection)) return [];
  const { path, host, port } = openClient(connection, {}).options;
  if (typeof path === 'string' && path !== '') return [];
  return host.map((name, index) => ({ host: name, port: port[index] ?? 5432 }));
}

/** @throws StartError, one line that never shows the password, when the server cannot be used or is older than 14. */
export async function checkServer(sql: Sql): Promise<void> {
  const where = `the database at ${addressOf(sql)}`;
  let number: number;
  try {
    const rows = await sql<{ number: number }[]>`select current_setting('server_version_num')::int as number`;
    number = rows[0]?.number ?? 0;
  } catch (error) {
    throw new StartError(`${where} cannot be reached: ${messageOf(error)}`, { cause: error });
  }
  if (number < OLDEST * 10_000) {
    const version = `${Math.floor(number / 10_000)}`;
    throw new StartError(`${where} is PostgreSQL ${version}; version ${OLDEST} or later is needed`);
  }
}

function addressOf(sql: Sql): string {
  const { path, host, port } = sql.options;
  if (typeof path === 'string' && path !== '') return path;
  return host.map((name, index) => `${name}:${port[index] ?? ''}`).join(', ');
}
