import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, startTestPostgres, type TestPostgres } from '../../test/support/postgres.js';
import { StartError } from '../errors.js';
import { migrate } from './migrate.js';

const ours = fileURLToPath(new URL('../../migrations', import.meta.url));
let postgres: TestPostgres;
let folder: string;

beforeAll(async () => {
  postgres = await startTestPostgres();
  folder = await mkdtemp(join(tmpdir(), 'hearth-migrations-'));
  await cp(ours, folder, { recursive: true });
});

afterAll(async () => {
  await postgres?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('migrate', () => {
  it('runs each migration once', async () => {
    const connection = await postgres.database({ empty: true });
    expect(await migrate(connection)).toContain('0001_functions_and_executions');
    expect(await migrate(connection)).toEqual([]);
    expect(await run(connection, 'select slug, retention_days from tenants')).toEqual([
      { slug: 'default', retention_days: 30 },
    ]);
  });

  it('lets nodes that start at the same moment share the work', async () => {
    const connection = await postgres.database({ empty: true });
    const ran = await Promise.all(Array.from({ length: 5 }, () => migrate(connection)));
    expect(ran.flat().filter((name) => name === '0001_functions_and_executions')).toHaveLength(1);
  });

  it('runs nothing of a migration that fails, and says why', async () => {
    const connection = await postgres.database({ empty: true });
    await writeFile(join(folder, '9998_broken.sql'), 'create table half (id int); select 1 / 0;');
    await expect(migrate(connection, { folder })).rejects.toThrow(
      new StartError('migration 9998_broken failed: division by zero'),
    );
    expect(await run(connection, `select to_regclass('half') as half`)).toEqual([{ half: null }]);
    await rm(join(folder, '9998_broken.sql'));
  });

  it('refuses a database whose migration was changed since, or is unknown here', async () => {
    const connection = await postgres.database({ empty: true });
    const extra = join(folder, '9999_extra.sql');
    await writeFile(extra, 'create table extra (id int);\n');
    expect(await migrate(connection, { folder })).toContain('9999_extra');
    await writeFile(extra, 'create table extra (id int);\r\n');
    expect(await migrate(connection, { folder })).toEqual([]);
    await writeFile(extra, 'create table extra (id bigint);\n');
    await expect(migrate(connection, { folder })).rejects.toThrow(
      new StartError('migration 9999_extra was changed after it had run on this database'),
    );
    await expect(migrate(connection)).rejects.toThrow(/^the database has migration 9999_extra, unknown here/);
  });
});

describe('a database that cannot be used', () => {
  it('is named by host and port, never with the password', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    await new Promise((resolve) => server.close(resolve));
    const error = await migrate({ url: `postgres://me:s3cret@127.0.0.1:${port}/db` }).catch(
      (error: unknown) => error,
    );
    expect(error).toBeInstanceOf(StartError);
    expect(String(error)).toBe(
      `StartError: the database at 127.0.0.1:${port} cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}`,
    );
  });

  it.each(['not a url', 'postgres://me:s3cret@host:port/db', 'http://127.0.0.1/'])(
    'is refused: %s',
    async (url) => {
      const error = await migrate({ url }).catch((error: unknown) => error);
      expect(error).toBeInstanceOf(StartError);
      expect(String(error)).toContain('DATABASE_URL is not a PostgreSQL URL');
      expect(String(error)).not.toContain('s3cret');
    },
  );

  it('says what PostgreSQL says about the login', async () => {
    const wrong = { ...postgres.admin, password: 'wrong' };
    await expect(migrate(wrong)).rejects.toThrow(/^the database at .*: password authentication failed/);
    const missing = { ...postgres.admin, database: 'missing' };
    await expect(migrate(missing)).rejects.toThrow('database "missing" does not exist');
  });
});
