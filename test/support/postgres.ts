/** A real PostgreSQL for one test file: the embedded one, with as many databases in it as the tests ask for. */
import { rm, symlink, unlink } from 'node:fs/promises';
import { type Connection, connect, type SocketConnection } from '../../src/store/connection.js';
import { startEmbedded } from '../../src/store/embedded.js';
import { migrate } from '../../src/store/migrate.js';
import { newDataDir } from './data_dir.js';

export interface TestPostgres {
  /** The superuser's, to the database `postgres`, which stays empty. */
  admin: SocketConnection;
  /** A new database: migrated, or empty. Gone at stop(). */
  database(options?: { empty?: boolean }): Promise<SocketConnection>;
  /** Stops the server; its data stays. */
  pause(): Promise<void>;
  /** Starts the paused server again: connections find it where it was. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

export async function startTestPostgres(): Promise<TestPostgres> {
  const dataDir = await newDataDir();
  let server = await startEmbedded({ dataDir });
  const links: string[] = [];
  let made = 0;
  return {
    get admin() {
      return server.connection;
    },
    async database({ empty = false } = {}) {
      const database = `test_${++made}`;
      await run(server.connection, `create database ${database}`);
      const connection = { ...server.connection, database };
      if (!empty) await migrate(connection);
      return connection;
    },
    pause: () => server.stop(),
    async resume() {
      const { host } = server.connection;
      server = await startEmbedded({ dataDir });
      await symlink(server.connection.host, host);
      links.push(host);
    },
    async stop() {
      await server.stop();
      for (const link of links) await unlink(link);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** One statement, on a connection of its own. */
export async function run(connection: Connection, statement: string): Promise<Record<string, unknown>[]> {
  const sql = connect(connection, { max: 1, name: 'test' });
  try {
    return [...(await sql.unsafe<Record<string, unknown>[]>(statement))];
  } finally {
    await sql.end();
  }
}

/** Returns when `condition` holds; fails after 10 s, saying what it waited for. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited 10 s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
