import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { someone } from '../../test/support/functions.js';
import { run, startTestPostgres, type TestPostgres, until } from '../../test/support/postgres.js';
import { HearthError } from '../errors.js';
import type { SocketConnection } from './connection.js';
import { openStore, type Store } from './main.js';
import type { FunctionSettings, PreparedCode } from './types.js';

let postgres: TestPostgres;
let connection: SocketConnection;
let store: Store;

beforeAll(async () => {
  postgres = await startTestPostgres();
  connection = await postgres.database();
  store = await openStore(connection, { name: 'functions test', secretKeys: ['a key of 16 characters'] });
});

afterAll(async () => {
  await store?.stop();
  await postgres?.stop();
});

const SETTINGS: FunctionSettings = {
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

function prepared(code: string): PreparedCode {
  const bundle = `/* bundle */ ${code}`;
  return { code, bundle, hash: createHash('sha256').update(bundle).digest('hex'), imports: null };
}

function insert(
  name: string,
  settings: Partial<FunctionSettings> = {},
  code = `export default () => '${name}'`,
) {
  return store.functions.insert({
    tenant: 'default',
    name,
    settings: { ...SETTINGS, ...settings },
    prepared: prepared(code),
    source: 'api',
    actor: someone,
  });
}

describe('a stored function', () => {
  it('comes back as it was inserted, with its code and its bundle', async () => {
    const cors = { origins: ['https://a.example', '*'], credentials: true, max_age: 60 };
    const settings = {
      ...SETTINGS,
      routes: ['/first/:id', '/first "quoted", {braces}'],
      cors,
      description: 'ü 🔥',
    };
    const code = `export default () => "ü 🔥 \\\\ '"`;
    const meta = await insert('first', settings, code);
    expect(meta).toEqual({
      ...settings,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      tenant: 'default',
      name: 'first',
      version: 1,
      hash: prepared(code).hash,
      secrets_revision: 1,
      created_at: expect.any(Date),
      updated_at: expect.any(Date),
      created_by: 'someone',
      source: 'api',
    });
    expect(await store.functions.find('default', 'first')).toEqual({ ...meta, code, imports: null });
    expect(await store.functions.byId(meta.id)).toEqual(meta);
    expect(await store.functions.bundle(meta.hash)).toBe(prepared(code).bundle);
    expect(await store.functions.bundle('none')).toBeNull();
    expect(await store.functions.find('default', 'none')).toBeNull();
    expect(await store.functions.find('other', 'first')).toBeNull();
  });

  it('keeps its name from being taken', async () => {
    await insert('taken');
    const error = await insert('taken').catch((error: unknown) => error);
    expect(error).toBeInstanceOf(HearthError);
    expect(error).toMatchObject({ code: 'CONFLICT', details: [{ field: 'name' }] });
  });

  it('keeps its routes from being taken, by an insert or an update, and says which', async () => {
    await insert('routed', { routes: ['/api/one', '/api/two'] });
    const conflict = {
      code: 'CONFLICT',
      message: 'The route /api/two is taken.',
      details: [{ field: 'routes.1' }],
    };
    await expect(insert('late', { routes: ['/api/late', '/api/two'] })).rejects.toMatchObject(conflict);
    expect(await store.functions.find('default', 'late')).toBeNull();
    await insert('later', { routes: ['/api/late'] });
    await expect(
      store.functions.update('default', 'later', {
        settings: { routes: ['/api/late', '/api/two'] },
        actor: someone,
      }),
    ).rejects.toMatchObject(conflict);
    expect((await store.functions.find('default', 'later'))?.routes).toEqual(['/api/late']);
    await store.functions.update('default', 'routed', { settings: { routes: ['/api/one'] }, actor: someone });
    const moved = await store.functions.update('default', 'later', {
      settings: { routes: ['/api/two', '/api/two'] },
      actor: someone,
    });
    expect(moved?.routes).toEqual(['/api/two', '/api/two']);
  });

  it('gets a new version for new code and for nothing else', async () => {
    const first = await insert('versioned');
    const settings = await store.functions.update('default', 'versioned', {
      settings: { timeout_seconds: 60 },
      actor: someone,
    });
    expect(settings).toMatchObject({
      version: 1,
      timeout_seconds: 60,
      memory_limit_mb: 128,
      hash: first.hash,
    });
    expect(settings?.updated_at.getTime()).toBeGreaterThanOrEqual(first.updated_at.getTime());
    const same = await store.functions.update('default', 'versioned', {
      prepared: prepared("export default () => 'versioned'"),
      actor: someone,
    });
    expect(same?.version).toBe(1);
    const next = prepared('export default () => 2');
    const changed = await store.functions.update('default', 'versioned', {
      prepared: next,
      actor: { ...someone, id: 'other' },
    });
    expect(changed).toMatchObject({ version: 2, hash: next.hash, created_by: 'someone' });
    const rebuilt = { ...next, bundle: `${next.bundle}//`, hash: 'rebuilt' };
    expect(
      await store.functions.update('default', 'versioned', { prepared: rebuilt, actor: someone }),
    ).toMatchObject({
      version: 3,
    });
    expect(await store.functions.versions('default', 'versioned')).toMatchObject([
      { version: 3, hash: 'rebuilt', created_by: 'someone' },
      { version: 2, hash: next.hash, created_by: 'other' },
      { version: 1, hash: first.hash, created_by: 'someone' },
    ]);
    expect((await store.functions.find('default', 'versioned'))?.code).toBe(next.code);
    expect(await store.functions.update('default', 'none', { settings: {}, actor: someone })).toBeNull();
  });

  it('has with each version what that was built from', async () => {
    await insert('importing');
    const resolved = [{ specifier: 'npm:a@1', resolved: 'npm:a@1.0.0', integrity: 'sha512-x' }];
    const imports = { asked: ['npm:a@1'], entry: 'e', lock: '{"version":"5"}', resolved };
    await store.functions.update('default', 'importing', {
      prepared: { ...prepared('export default 3'), imports },
      actor: someone,
    });
    expect((await store.functions.find('default', 'importing'))?.imports).toEqual(imports);
    expect(await store.functions.versions('default', 'importing')).toMatchObject([
      { version: 2, imports: resolved },
      { version: 1, imports: [] },
    ]);
  });

  it("has V8's code cache of its current bundle for each engine, and of no other", async () => {
    const { id: functionId, hash } = await insert('cached');
    const key = { functionId, hash, engine: 'deno-1' };
    await store.functions.keepCodeCache(key, Buffer.from('first'));
    await store.functions.keepCodeCache({ ...key, engine: 'deno-2' }, Buffer.from('another'));
    expect(String(await store.functions.codeCache(key))).toBe('first');
    expect(await store.functions.codeCache({ ...key, hash: 'other' })).toBeNull();

    const next = prepared('export default 4');
    await store.functions.update('default', 'cached', { prepared: next, actor: someone });
    await store.functions.keepCodeCache(key, Buffer.from('too late'));
    expect(String(await store.functions.codeCache(key))).toBe('first');
    await store.functions.keepCodeCache({ ...key, hash: next.hash }, Buffer.from('second'));
    expect(await store.functions.codeCache(key)).toBeNull();
    expect(String(await store.functions.codeCache({ ...key, hash: next.hash }))).toBe('second');

    await store.sql`update code_caches set created_at = now() - interval '31 days' where engine = 'deno-2'`;
    await store.functions.dropOldCodeCaches();
    const left = await store.sql`select engine from code_caches where function_id = ${functionId}`;
    expect([...left]).toEqual([{ engine: 'deno-1' }]);
    await store.functions.remove('default', 'cached', someone);
    expect([...(await store.sql`select from code_caches where function_id = ${functionId}`)]).toEqual([]);
  });

  it("has no V8's code cache that came while it was being deleted", async () => {
    const { id: functionId, hash } = await insert('leaving');
    let kept = false;
    let keeping = Promise.resolve();
    await store.sql.transaction(async (sql) => {
      await sql`update functions set deleted_at = now() where id = ${functionId}`;
      await sql`delete from code_caches where function_id = ${functionId}`;
      keeping = store.functions.keepCodeCache({ functionId, hash, engine: 'deno-1' }, Buffer.from('late'));
      void keeping.then(() => {
        kept = true;
      });
      const waiting = () =>
        store.sql`select from pg_stat_activity
          where wait_event_type = 'Lock' and query like '%insert into code_caches%' and pid <> pg_backend_pid()`;
      await until('it is done or waits', async () => kept || (await waiting()).length > 0);
    });
    await keeping;
    expect([...(await store.sql`select from code_caches where function_id = ${functionId}`)]).toEqual([]);
  });

  it('takes concurrent updates one after the other', async () => {
    await insert('busy');
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        store.functions.update('default', 'busy', {
          prepared: prepared(`export default ${n}`),
          actor: someone,
        }),
      ),
    );
    expect(results.map((meta) => meta?.version ?? 0).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 2),
    );
    expect(await store.functions.versions('default', 'busy')).toHaveLength(21);
  });

  it('gives its name and routes free when it is removed', async () => {
    const old = await insert('reused', { routes: ['/reused'] });
    expect(await store.functions.remove('default', 'reused', someone)).toBe(old.id);
    expect(await store.functions.remove('default', 'reused', someone)).toBeNull();
    expect(await store.functions.byId(old.id)).toBeNull();
    expect(await store.functions.find('default', 'reused')).toBeNull();
    const fresh = await insert('reused', { routes: ['/reused'] });
    expect(fresh.id).not.toBe(old.id);
    expect(fresh.version).toBe(1);
  });

  it('is refused with the caller to blame when a text has a NUL in it', async () => {
    await expect(insert('nul', {}, 'a\0b')).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await expect(insert('nul', { description: 'a\0b' })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await expect(insert('nul', { routes: ['/a\0b'] })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });
});

describe('the functions', () => {
  it('are listed by name, page by page', async () => {
    for (const name of ['page-c', 'page-a', 'page-d', 'page-b']) await insert(name);
    const first = await store.functions.list('default', { limit: 2, after: 'page-' });
    expect(first.map(({ name }) => name)).toEqual(['page-a', 'page-b']);
    expect(first[0]).not.toHaveProperty('code');
    const rest = await store.functions.list('default', { limit: 2, after: 'page-b' });
    expect(rest.map(({ name }) => name)).toEqual(['page-c', 'page-d']);
    expect(await store.functions.list('other', { limit: 10 })).toEqual([]);
    expect((await store.functions.changedSince('0')).changed.length).toBeGreaterThan(4);
  });

  it('that came from files are told apart', async () => {
    await insert('from-file');
    await store.functions.update('default', 'from-file', { source: 'file', actor: someone });
    const files = await store.functions.fromFiles('default');
    expect(files.map(({ name, code }) => [name, code])).toEqual([
      ['from-file', "export default () => 'from-file'"],
    ]);
  });

  it('that changed since are told, each once, in the order of their change', async () => {
    const before = await store.functions.changedSince(0n);
    expect(await store.functions.changedSince(before.seq)).toEqual({
      seq: before.seq,
      changed: [],
      removed: [],
    });
    const one = await insert('changed-1');
    const two = await insert('changed-2');
    await store.functions.update('default', 'changed-1', { settings: { enabled: false }, actor: someone });
    await store.functions.remove('default', 'changed-2', someone);
    const after = await store.functions.changedSince(before.seq);
    expect(after.changed).toEqual([await store.functions.byId(one.id)]);
    expect(after.changed[0]?.enabled).toBe(false);
    expect(after.removed).toEqual([two.id]);
    expect(BigInt(after.seq)).toBeGreaterThan(BigInt(before.seq));
  });

  it('become visible in the order of their numbers, so that none is ever skipped', async () => {
    let { seq } = await store.functions.changedSince(0n);
    const seen = new Set<string>();
    let inserting = true;
    const all = Promise.all(Array.from({ length: 30 }, (_, n) => insert(`ordered-${n}`))).finally(() => {
      inserting = false;
    });
    for (let last = false; !last; ) {
      last = !inserting;
      const changes = await store.functions.changedSince(seq);
      seq = changes.seq;
      for (const { id } of changes.changed) seen.add(id);
    }
    expect(seen.size).toBe((await all).length);
  });
});

describe('notifications', () => {
  it('tell of every insert, update and removal, and of a connection that was lost and is back', async () => {
    const heard: string[] = [];
    let reconnects = 0;
    const listener = await store.notifications.listen({
      onFunction: (id) => heard.push(id),
      onTenant: () => {},
      onKey: () => {},
      onReconnect: () => reconnects++,
    });
    try {
      const { id } = await insert('heard');
      await until('the insert', () => heard.length === 1);
      await store.functions.update('default', 'heard', { settings: { enabled: false }, actor: someone });
      await until('the update', () => heard.length === 2);
      const terminate = `select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'functions test listen'`;
      expect(await run(connection, terminate)).toHaveLength(1);
      await until('the connection to be back', () => reconnects === 1);
      await store.functions.remove('default', 'heard', someone);
      await until('the removal', () => heard.length === 3);
      expect(heard).toEqual([id, id, id]);
    } finally {
      await listener.stop();
    }
    const left = `select 1 from pg_stat_activity where application_name = 'functions test listen'`;
    await until('its connection to be closed', async () => (await run(connection, left)).length === 0);
  });
});
