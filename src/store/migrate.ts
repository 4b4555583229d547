/** Brings the database's schema up to date from `migrations/NNNN_name.sql`. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { messageOf, StartError } from '../errors.js';
import { type Connection, checkServer, connect, type Queries, type Sql } from './connection.js';

export interface MigrateOptions {
  /** Where the files lie; the project's own by default. */
  folder?: string | URL;
}

/** Any number that nothing else in this database locks: several nodes may start at once. */
const LOCK = 4_839_001;
const FILE = /^\d{4}_[a-z0-9_]+\.sql$/;

interface Migration {
  name: string;
  text: string;
  checksum: string;
}

/**
 * Runs the migrations that are missing, in order, each in a transaction of its own.
 *
 * @returns the names of those that ran.
 * @throws StartError when the server is out of reach or too old, when a migration that ran has been changed
 *   since, when the database knows one that is not here (a newer Hearth has been at work), and when one fails.
 */
export async function migrate(connection: Connection, options: MigrateOptions = {}): Promise<string[]> {
  const migrations = await readMigrations(options.folder ?? new URL('../../migrations', import.meta.url));
  const sql = connect(connection, { max: 1, name: 'hearth migrate' });
  try {
    await checkServer(sql);
    await makeJournal(sql);
    const ran: string[] = [];
    for (const migration of migrations)
      if (await runOnce(sql, migration, migrations)) ran.push(migration.name);
    return ran;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function readMigrations(folder: string | URL): Promise<Migration[]> {
  const path = typeof folder === 'string' ? folder : fileURLToPath(folder);
  const names = (await readdir(path)).filter((name) => FILE.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      // A checkout on another system may have other line ends; it is the same migration.
      const text = (await readFile(`${path}/${name}`, 'utf8')).replaceAll('\r\n', '\n');
      return { name: name.slice(0, -4), text, checksum: createHash('sha256').update(text).digest('hex') };
    }),
  );
}

function lock(sql: Queries) {
  // Held until the transaction ends: unlike a session's lock it works through a connection pooler too.
  return sql`select pg_advisory_xact_lock(${LOCK})`;
}

async function makeJournal(sql: Sql): Promise<void> {
  try {
    await sql.transaction(async (sql) => {
      await lock(sql);
      await sql`
        create table if not exists hearth_migrations (
          name text primary key,
          checksum text not null,
          ran_at timestamptz not null default now()
        )`;
    });
  } catch (error) {
    throw new StartError(`the database cannot be migrated: ${messageOf(error)}`, { cause: error });
  }
}

/** Whether it ran: another node may have been first. */
async function runOnce(sql: Sql, migration: Migration, known: Migration[]): Promise<boolean> {
  try {
    return await sql.transaction(async (sql) => {
      await lock(sql);
      const done = await sql<{ name: string; checksum: string }[]>`
        select name, checksum from hearth_migrations order by name`;
      checkJournal(done, known);
      if (done.some((row) => row.name === migration.name)) return false;
      await sql.unsafe(migration.text).simple();
      await sql`insert into hearth_migrations ${sql({ name: migration.name, checksum: migration.checksum })}`;
      return true;
    });
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(`migration ${migration.name} failed: ${messageOf(error)}`, { cause: error });
  }
}

function checkJournal(done: { name: string; checksum: string }[], known: Migration[]): void {
  for (const row of done) {
    const migration = known.find(({ name }) => name === row.name);
    if (migration === undefined) {
      throw new StartError(
        `the database has migration ${row.name}, unknown here: it was used by a newer Hearth`,
      );
    }
    if (migration.checksum !== row.checksum) {
      throw new StartError(`migration ${row.name} was changed after it had run on this database`);
    }
  }
}
