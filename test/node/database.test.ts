/** A node on a PostgreSQL of its own administrator: what it keeps there, and what it does while that is away. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SocketConnection } from '../../src/store/connection.js';
import { type DatabaseUrl, databaseUrl } from '../support/database_url.js';
import { startNode, type TestNode, until } from '../support/node.js';
import { run, startTestPostgres, type TestPostgres } from '../support/postgres.js';

const HELLO = "export default () => 'hello';";
const DAY_MS = 86_400_000;

let postgres: TestPostgres;
let database: SocketConnection;
let address: DatabaseUrl;
let node: TestNode;
let functionsDir: string;

beforeAll(async () => {
  functionsDir = await mkdtemp(join(tmpdir(), 'hearth-test-'));
  await writeFile(join(functionsDir, 'from-file.ts'), HELLO);
  postgres = await startTestPostgres();
  database = await postgres.database({ empty: true });
  address = await databaseUrl(database);
  node = await startNode({ DATABASE_URL: address.url, HEARTH_FUNCTIONS_DIR: functionsDir });
});

afterAll(async () => {
  await node?.remove();
  await address?.stop();
  await postgres?.stop();
  await rm(functionsDir, { recursive: true, force: true });
});

async function errorOf(answering: Promise<Response>) {
  const answer = await answering;
  const body = (await answer.json()) as { code?: string; error?: string };
  return { status: answer.status, code: body.code, retryAfter: answer.headers.get('retry-after') };
}

async function executions(name: string): Promise<{ status: string; executed_at: string }[]> {
  const answer = await node.api(`/api/v1/functions/${name}/executions?limit=200`);
  return answer.status === 200 ? ((await answer.json()) as { status: string; executed_at: string }[]) : [];
}

describe('the database that DATABASE_URL names', () => {
  it('is shown without its password', () => {
    expect(node.output()).toContain('PostgreSQL at DATABASE_URL');
    expect(node.output()).not.toContain(database.password);
  });

  it('has a partition for the executions of today and of the next days', async () => {
    const rows = await run(
      database,
      "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'executions'::regclass",
    );
    const names = rows.map(({ relname }) => relname);
    for (const days of [0, 1, 2]) {
      const day = new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '');
      expect(names).toContain(`executions_${day}`);
    }
  });
});

describe('a database that goes away and comes back', () => {
  const UNAVAILABLE = { status: 503, code: 'UNAVAILABLE', retryAfter: expect.stringMatching(/^[1-9]\d*$/) };

  it('stops no function that the node knows, and everything is as before when it is back', async () => {
    await node.deploy('warm', HELLO);
    await node.deploy('cached', HELLO, { allow_net: false });
    expect((await node.call('warm')).status).toBe(200);
    // Called and changed: its process is gone, and its code is in the cache.
    expect((await node.call('cached')).status).toBe(200);
    const changed = await node.api('/api/v1/functions/cached', {
      method: 'PATCH',
      json: { memory_limit_mb: 64 },
    });
    expect(changed.status).toBe(200);
    await until(async () => (await executions('warm')).length === 1);

    await postgres.pause();
    const began = Date.now();
    await until(async () => {
      const ready = await fetch(`${node.url}/readyz`);
      return ready.status === 200 && ((await ready.json()) as { database?: string }).database === 'away';
    });

    for (let n = 0; n < 5; n++) expect(await (await node.call('warm')).text()).toBe('hello');
    expect(await (await node.call('cached')).text()).toBe('hello');
    expect(await errorOf(node.call('unknown'))).toEqual(UNAVAILABLE);
    expect(await errorOf(node.api('/api/v1/functions'))).toEqual(UNAVAILABLE);
    expect(await errorOf(node.api('/api/v1/functions/warm'))).toEqual(UNAVAILABLE);
    expect(await errorOf(node.api('/api/v1/functions/warm/executions'))).toEqual(UNAVAILABLE);
    expect(
      await errorOf(node.api('/api/v1/functions', { method: 'POST', json: { name: 'new', code: HELLO } })),
    ).toEqual(UNAVAILABLE);
    expect(
      await errorOf(node.api('/api/v1/functions/warm', { method: 'PATCH', json: { timeout_seconds: 5 } })),
    ).toEqual(UNAVAILABLE);
    expect(await errorOf(node.api('/api/v1/functions/warm', { method: 'DELETE' }))).toEqual(UNAVAILABLE);
    expect(await errorOf(node.api('/api/v1/admin/functions/reload', { method: 'POST' }))).toEqual(
      UNAVAILABLE,
    );
    const ended = Date.now();

    await postgres.resume();
    await until(async () => (await node.api('/api/v1/functions')).status === 200);
    await until(async () => (await executions('warm')).length === 6);
    const during = (await executions('warm')).map(({ executed_at }) => Date.parse(executed_at));
    expect(during.filter((time) => time >= began && time <= ended)).toHaveLength(5);

    await until(async () => (await errorOf(node.call('unknown'))).status === 404);
    await node.deploy('new', HELLO);
    expect(await (await node.call('new')).text()).toBe('hello');
    // A change that another node makes is heard of again.
    await run(database, "update functions set enabled = false, updated_at = now() where name = 'new'");
    await until(async () => (await node.call('new')).status === 403, 5_000);
    expect(await node.stop()).toBe(0);
  });
});
