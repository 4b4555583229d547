/** The second wall: as the role hearth_tenant there is one tenant, whatever a query says. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { functionMeta, someone } from '../../test/support/functions.js';
import { run, startTestPostgres, type TestPostgres } from '../../test/support/postgres.js';
import { connect, type Queries, type SocketConnection, type Sql } from './connection.js';
import { openStore, type Store } from './main.js';

const SECRET_KEYS = ['a key of 16 characters'];
const [A, B] = ['tenant-a', 'tenant-b'];
/** Tables that the role may touch although they have no tenant: hashes of code, and ids of functions that are gone. */
const SHARED = ['bundles', 'departed_functions'];

let postgres: TestPostgres;
let database: SocketConnection;
let sql: Sql;
/** Every table with a tenant's rows in it; partitions are reached through theirs. */
let tables: string[];

beforeAll(async () => {
  postgres = await startTestPostgres();
  database = await postgres.database();
  sql = connect(database, { max: 2 });
  await run(database, `insert into tenants (slug, display_name) values ('${A}', 'A'), ('${B}', 'B')`);
  const rows = await sql<{ name: string }[]>`
    select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and a.attname = 'tenant' and not a.attisdropped order by 1`;
  tables = rows.map(({ name }) => name);
  for (const tenant of [A, B]) for (const table of tables) await fill(table, tenant);
});

afterAll(async () => {
  await sql?.end();
  await postgres?.stop();
});

/** A row with something in every column that needs it; foreign keys are left aside. */
async function fill(table: string, tenant: string) {
  await sql.transaction(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await insert(sql, table, tenant);
  });
}

async function insert(sql: Queries, table: string, tenant: string) {
  const columns = await sql<{ name: string; type: string }[]>`
    select attname as name, format_type(atttypid, null) as type from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped
      and (attnotnull and not atthasdef and attidentity = '' or attname = 'tenant')`;
  const values = columns.map(({ name, type }) => sample(name, type, tenant)).join(', ');
  const names = columns.map(({ name }) => name).join(', ');
  await sql.unsafe(`insert into ${table} (${names}) values (${values})`);
}

function sample(name: string, type: string, tenant: string): string {
  if (name === 'tenant') return `'${tenant}'`;
  if (name === 'trigger_type') return "'async'";
  if (name === 'domain') return `gen_random_uuid() || '.example'`;
  switch (type) {
    case 'text':
      return "'api'"; // a kind of key and a source of functions too
    case 'uuid':
      return 'gen_random_uuid()';
    case 'bytea':
      return 'sha256(gen_random_uuid()::text::bytea)';
    case 'timestamp with time zone':
      return 'now()';
    case 'boolean':
      return 'false';
    case 'json':
    case 'jsonb':
      return "'{}'";
    default:
      return '1';
  }
}

/** `work` as the role, bound to a tenant or to none; undone afterwards. SQLSTATE where it was refused. */
async function asRole<T>(tenant: string | null, work: (sql: Queries) => Promise<T>): Promise<T | string> {
  const undo = new Error('undo');
  let value: T | undefined;
  try {
    await sql.transaction(async (sql) => {
      if (tenant !== null) await sql`select set_config('hearth.tenant', ${tenant}, true)`;
      await sql`select set_config('role', 'hearth_tenant', true)`;
      value = await work(sql);
      throw undo;
    });
  } catch (error) {
    if (error === undo) return value as T;
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
  throw new Error('it was not undone');
}

const DENIED = '42501';
const count = (rows: { count: number }) => rows.count;

describe('the role hearth_tenant', () => {
  it('meets row-level security on every table that has a tenant', async () => {
    expect(tables.length).toBeGreaterThanOrEqual(12);
    const off = await sql`
      select relname from pg_class where relname in ${sql(tables)} and not relrowsecurity`;
    expect(off.map(({ relname }) => relname)).toEqual([]);
  });

  it('may touch nothing that has no tenant, but for what is shared', async () => {
    const open = await sql`
      select c.relname from pg_class c
      where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relrowsecurity
        and (has_any_column_privilege('hearth_tenant', c.oid, 'select, insert, update')
          or has_table_privilege('hearth_tenant', c.oid, 'delete, truncate')) order by 1`;
    expect(open.map(({ relname }) => relname)).toEqual(SHARED);
    expect(await asRole(A, (sql) => sql`select deflated from bundles`)).toBe(DENIED);
  });

  it('sees its own rows of every table that it may read, and no other tenant’s', async () => {
    let own = 0;
    for (const table of tables) {
      const seen = await asRole(A, (sql) => sql`select tenant from ${sql(table)}`.then((rows) => [...rows]));
      if (seen === DENIED) continue;
      own++;
      expect([table, seen]).toEqual([table, [{ tenant: A }]]);
    }
    expect(own).toBeGreaterThan(8);
    expect(await asRole(A, (sql) => sql`select slug from tenants`.then((rows) => [...rows]))).toEqual([
      { slug: A },
    ]);
  });

  it('sees nothing while it is bound to no tenant', async () => {
    for (const table of [...tables, 'tenants']) {
      const seen = await asRole(null, (sql) => sql`select from ${sql(table)}`.then(count));
      expect([table, seen === DENIED ? 0 : seen]).toEqual([table, 0]);
    }
  });

  it('adds no row for another tenant, nor gives it one of its own', async () => {
    for (const table of tables) {
      expect([table, await asRole(A, (sql) => insert(sql, table, B))]).toEqual([table, DENIED]);
      const given = await asRole(A, (sql) => sql`update ${sql(table)} set tenant = ${B}`.then(count));
      expect([table, given]).toEqual([table, DENIED]);
    }
  });

  it('changes and deletes no row of another tenant', async () => {
    for (const table of tables) {
      for (const work of [
        (sql: Queries) => sql`update ${sql(table)} set tenant = tenant where tenant = ${B}`.then(count),
        (sql: Queries) => sql`delete from ${sql(table)} where tenant = ${B}`.then(count),
      ]) {
        const changed = await asRole(A, work);
        expect([table, changed === DENIED ? 0 : changed]).toEqual([table, 0]);
      }
    }
    expect(
      await asRole(A, (sql) => sql`update tenants set secrets_revision = 9 where slug = ${B}`.then(count)),
    ).toBe(0);
    expect(await asRole(A, (sql) => sql`update tenants set quotas = '{}'`)).toBe(DENIED);
  });
});

describe('what the store does for a tenant', () => {
  /** A store whose user has no rights but those of the role: what does not go through asTenant is refused. */
  let store: Store;

  beforeAll(async () => {
    await run(database, 'delete from secrets'); // what the tables were filled with opens with no key
    await run(database, "create role plain noinherit login password 'plain'; grant hearth_tenant to plain");
    store = await openStore({ ...database, user: 'plain', password: 'plain' }, { secretKeys: SECRET_KEYS });
  });
  afterAll(() => store?.stop());

  const query = { limit: 10 };
  const id = '01900000-0000-7000-8000-000000000001';
  const { name } = functionMeta();
  const added = {
    tenant: A,
    name,
    settings: functionMeta(),
    prepared: { code: 'x', bundle: 'x', hash: 'x', imports: null },
    source: 'api' as const,
    actor: someone,
  };
  const range = { from: new Date(0), to: new Date(), group: 'total' as const };
  const owner = { tenant: A, function: null };
  const key = {
    tenant: A,
    kind: 'api' as const,
    name: 'key',
    prefix: 'hth_api_',
    hash: '00'.repeat(32),
    scopes: [],
    functions: null,
    source_ranges: null,
    expires_at: null,
  };
  const event = {
    id,
    tenant: A,
    functionId: id,
    at: new Date(0),
    requestId: 'r',
    request: { method: 'POST', path: '/', headers: [], body: Buffer.alloc(0), caller: null, address: '' },
  };
  /** In this order. */
  const forTenants: Record<string, () => Promise<unknown>> = {
    'functions.insert': () => store.functions.insert(added),
    'functions.update': () => store.functions.update(A, name, { settings: {}, actor: someone }),
    'functions.find': () => store.functions.find(A, name),
    'functions.list': () => store.functions.list(A, query),
    'functions.versions': () => store.functions.versions(A, name),
    'functions.fromFiles': () => store.functions.fromFiles(A),
    'functions.remove': () => store.functions.remove(A, name, someone),
    'executions.list': () => store.executions.list(A, id, query),
    'executions.find': () => store.executions.find(A, id),
    'tenants.own': () => store.tenants.own(A),
    'apiKeys.insert': () => store.apiKeys.insert(key, someone),
    'apiKeys.list': () => store.apiKeys.list(A),
    'apiKeys.find': () => store.apiKeys.find(A, id),
    'apiKeys.remove': () => store.apiKeys.remove(A, id, someone),
    'secrets.set': () => store.secrets.set(owner, 'A', 'a value', someone),
    'secrets.list': () => store.secrets.list(owner),
    'secrets.values': () => store.secrets.values(A, null),
    'secrets.remove': () => store.secrets.remove(owner, 'A', someone),
    'usage.read': () => store.usage.read(A, { ...range, ...query }),
    'audit.list': () => store.audit.list(A, query),
    'events.take': () => store.events.take(event),
  };
  /** What a node does for all tenants at once, or the administrator: as the service's own user. */
  const platform = [
    ...['functions.byId', 'functions.ids', 'functions.changedSince', 'functions.bundle'],
    ...['functions.codeCache', 'functions.keepCodeCache', 'functions.dropOldCodeCaches'],
    ...['executions.amend', 'executions.createPartitions', 'executions.dropExpired'],
    ...[
      'tenants.count',
      'tenants.all',
      'tenants.bySlug',
      'tenants.list',
      'tenants.holdings',
      'tenants.insert',
    ],
    ...['tenants.update', 'tenants.markDeleting', 'tenants.delete', 'tenants.unfinishedDeletions'],
    ...['tenants.dropDeparted', 'tenants.stamps', 'tenants.settleDefaultSecret'],
    ...['apiKeys.byHashes', 'apiKeys.noteUse', 'jwtSecrets.forToken', 'jwtSecrets.rotate'],
    ...['quotaUse.add', 'quotaUse.current', 'quotaUse.exchange', 'quotaUse.leave', 'quotaUse.dropEnded'],
    ...['events.claim', 'events.claimLost', 'events.renew', 'events.settle', 'events.postpone'],
    ...['events.counts', 'events.expire', 'schedules.all', 'schedules.begin', 'schedules.tick'],
    ...['resealing.unknown', 'resealing.run'],
    ...['usage.add', 'usage.dropExpired', 'audit.listAll', 'audit.dropExpired', 'notifications.listen'],
  ];

  it('is known to be for a tenant or for the platform', () => {
    const { sql: _, ...parts } = store;
    const methods = Object.entries(parts).flatMap(([part, value]) =>
      typeof value === 'object' ? Object.keys(value).map((method) => `${part}.${method}`) : [],
    );
    expect(methods.sort()).toEqual([...Object.keys(forTenants), ...platform].sort());
  });

  it('goes through the role, all of it', async () => {
    await expect(store.functions.changedSince('0')).rejects.toMatchObject({ code: DENIED });
    for (const [method, work] of Object.entries(forTenants))
      await expect(work().then(() => method)).resolves.toBe(method);
  });
});
