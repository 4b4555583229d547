/** What becomes of due work when something dies under it: it is run again, and nothing is lost. */
import { rm } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SocketConnection } from '../../src/store/connection.js';
import { newDataDir } from '../support/data_dir.js';
import { type DatabaseUrl, databaseUrl } from '../support/database_url.js';
import { endLeases, endOf, eventRows, executionOf, hurry, respondAsync, takenBy } from '../support/due.js';
import { type Gate, startGate } from '../support/gate.js';
import { scrape, total } from '../support/metrics.js';
import { startNode, type TestNode, until } from '../support/node.js';
import { run, startTestPostgres, type TestPostgres } from '../support/postgres.js';
import { denoProcessesOf, routersOf } from '../support/processes.js';

const HELLO = "export default () => 'hello';";
/** A time that comes once in a quarter of an hour. */
const QUARTERS = '*/15 * * * *';

let postgres: TestPostgres;
let database: SocketConnection;
let address: DatabaseUrl;
let gate: Gate;
let dataDir: string;
let node: TestNode;

function start(): Promise<TestNode> {
  return startNode({ DATABASE_URL: address.url, HEARTH_ROUTERS: '1' }, { dataDir, keepData: true });
}

beforeAll(async () => {
  postgres = await startTestPostgres();
});

beforeEach(async () => {
  [gate, database, dataDir] = await Promise.all([startGate(), postgres.database(), newDataDir()]);
  address = await databaseUrl(database);
  node = await start();
  await node.deployFile('waits_at_gate.js', {}, 'gated');
});

afterEach(async () => {
  gate.open();
  await node?.remove();
  await address?.stop();
  await gate?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

afterAll(async () => {
  await postgres?.stop();
});

/** Calls that run, and wait at the gate. */
async function inFlight(count: number): Promise<string[]> {
  gate.close();
  const come = gate.arrived.length;
  const ids = await Promise.all(
    Array.from({ length: count }, (_, n) =>
      takenBy(node, 'gated', { headers: { 'x-gate': gate.url, 'x-call': `${n}` } }),
    ),
  );
  await until(() => gate.arrived.length === come + count);
  return ids;
}

async function allEnd(ids: string[]) {
  for (const id of ids) {
    // What is tried again waits a moment first.
    await until(async () => {
      await hurry(database);
      return (await executionOf(node, id)).status === 'success';
    });
  }
  expect(await eventRows(database)).toEqual([]);
}

describe('due work that runs', () => {
  it('is run again by the next node when its own is killed', async () => {
    const ids = await inFlight(3);
    const come = gate.arrived.length;
    node.process.kill('SIGKILL');
    await until(() => node.process.signalCode !== null);
    gate.open();
    node = await start();
    await endLeases(database);
    await allEnd(ids);
    expect(gate.arrived.length).toBe(come + 3);
    for (const id of ids)
      expect((await executionOf(node, id)).logs).toContain('[hearth] attempt 1 of 4 failed');
  });

  it('is run again when its router is killed', async () => {
    const ids = await inFlight(2);
    const [router] = routersOf(node.process.pid ?? 0);
    process.kill(router?.pid ?? 0, 'SIGKILL');
    gate.open();
    await until(async () => (await fetch(`${node.url}/readyz`).catch(() => null))?.status === 200);
    await allEnd(ids);
  });

  it('is run again when its process is killed', async () => {
    const ids = await inFlight(2);
    gate.open();
    gate.close();
    const more = await inFlight(1);
    for (const { pid } of denoProcessesOf(node.process.pid ?? 0, 'x-gate')) process.kill(pid, 'SIGKILL');
    gate.open();
    await allEnd([...ids, ...more]);
    expect((await executionOf(node, more[0] ?? '')).logs).toContain('attempt 1 of 4 failed');
  });

  it('finishes before its node stops', async () => {
    const ids = await inFlight(1);
    const stopping = node.stop();
    await until(async () => (await fetch(`${node.url}/readyz`).catch(() => null))?.status !== 200);
    gate.open();
    expect(await stopping).toBe(0);
    expect(await eventRows(database)).toEqual([]);
    const [row] = await run(database, `select status from executions where id = '${ids[0]}'`);
    expect(row?.status).toBe('success');
  });

  it('waits where no node has places for it, and is there for the next one that has', async () => {
    await node.stop();
    const env = { DATABASE_URL: address.url, HEARTH_ROUTERS: '1', HEARTH_EVENTS_CONCURRENCY: '0' };
    node = await startNode(env, { dataDir, keepData: true });
    const id = await takenBy(node, 'gated');
    await until(async () => total(await scrape(node.metrics_url), 'hearth_events_due') === 1);
    expect((await executionOf(node, id)).status).toBe('pending');
    await node.stop();
    node = await start();
    expect((await endOf(node, id)).status).toBe('success');
  });

  it('is given back where it does not finish in the time that its node has to stop', async () => {
    await node.stop();
    node = await startNode(
      { DATABASE_URL: address.url, HEARTH_ROUTERS: '1', HEARTH_DRAIN_SECONDS: '1' },
      { dataDir, keepData: true },
    );
    const ids = await inFlight(1);
    expect(await node.stop()).toBe(0);
    expect(await eventRows(database)).toMatchObject([{ state: 'waiting', attempts: 1 }]);
    gate.open();
    node = await start();
    await allEnd(ids);
  });
});

describe('a database that goes away', () => {
  it('has due work end where it was when it is back, and takes nothing new meanwhile', async () => {
    const ids = await inFlight(2);
    await postgres.pause();
    gate.open();
    const refused = await respondAsync(node, 'gated');
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([503, 'UNAVAILABLE']);
    await postgres.resume();
    await allEnd(ids);
  });
});

describe('ticks that were missed while no node ran', () => {
  async function lastTickWas(name: string, minutesAgo: number) {
    await run(
      database,
      `update schedules set last_tick = now() - interval '${minutesAgo} minutes'
        where function_id = (select id from functions where name = '${name}')`,
    );
  }

  async function ticksOf(name: string): Promise<unknown[]> {
    return (await (await node.api(`/api/v1/functions/${name}/executions`)).json()) as unknown[];
  }

  it('are made up for by one, the latest', async () => {
    await node.deploy('quarters', HELLO, { cron_schedule: QUARTERS });
    await node.deploy('yearly', HELLO, { cron_schedule: '0 0 29 2 *' });
    await until(async () => (await run(database, 'select from schedules')).length === 2);
    expect(await ticksOf('quarters')).toEqual([]);
    await node.stop();
    await lastTickWas('quarters', 300);
    // Years ago: that is no tick that anyone waits for.
    await lastTickWas('yearly', 60 * 24 * 366 * 5);
    node = await start();
    await until(async () => (await ticksOf('quarters')).length === 1);
    const [tick] = (await ticksOf('quarters')) as { id: string; trigger_payload: { scheduled_at: string } }[];
    const quarter = 15 * 60_000;
    const latest = Math.floor(Date.now() / quarter) * quarter;
    expect(Date.parse(tick?.trigger_payload.scheduled_at ?? '')).toBe(latest);
    expect(await endOf(node, tick?.id ?? '')).toMatchObject({ status: 'success', trigger_type: 'cron' });
    await node.stop();
    node = await start();
    expect(await ticksOf('quarters')).toHaveLength(1);
    expect(await ticksOf('yearly')).toEqual([]);
  });
});
