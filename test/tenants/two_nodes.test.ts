/** Tenants on two nodes of one database: what one node makes of a tenant holds at the other within a second. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DatabaseUrl, databaseUrl } from '../support/database_url.js';
import { type Gate, startGate } from '../support/gate.js';
import { root, startNode, type TestNode, until } from '../support/node.js';
import { denoProcessesOf } from '../support/processes.js';
import { startTenantNode, type TenantNode, type TestTenant } from '../support/tenants.js';

const PATH = '/api/v1/admin/tenants';
const settings = {
  HEARTH_SECRET_KEY: 'both nodes seal with this one key',
  HEARTH_TENANTS_WITHOUT_SANDBOX: 'allow',
};

let first: TenantNode;
let proxy: DatabaseUrl;
let second: TestNode;
let gate: Gate;

beforeAll(async () => {
  [first, gate] = await Promise.all([startTenantNode(settings), startGate()]);
  proxy = await databaseUrl(first.database);
  second = await startNode({ ...settings, DATABASE_URL: proxy.url, HEARTH_ROUTERS: '1' });
});
afterAll(async () => {
  await second?.remove();
  await proxy?.stop();
  await first?.stop();
  await gate?.stop();
});

const admin = (path: string, method: string, json?: unknown) =>
  first.node.api(path, { key: 'admin', method, json });
const atSecond = (tenant: TestTenant, name: string, headers: Record<string, string> = {}) =>
  fetch(`${second.url}/t/${tenant.slug}/functions/v1/${name}`, {
    headers: { authorization: `Bearer ${tenant.anon}`, ...headers },
  });
const answersAtSecond = (tenant: TestTenant, name: string, status: number) =>
  until(async () => (await atSecond(tenant, name)).status === status);

describe('a tenant that is suspended at one node', () => {
  it('is served by no other, loses its processes there, and comes back', async () => {
    const tenant = await first.tenant('pausing');
    const code = "export default () => 'hello of the tenant that pauses';";
    await tenant.deploy('hello', code);
    await answersAtSecond(tenant, 'hello', 200);
    const processes = () => denoProcessesOf(Number(second.process.pid), 'of the tenant that pauses').length;
    await until(() => processes() === 1);

    expect((await admin(`${PATH}/pausing`, 'PATCH', { status: 'suspended' })).status).toBe(200);
    await answersAtSecond(tenant, 'hello', 403);
    await until(() => processes() === 0);

    expect((await admin(`${PATH}/pausing`, 'PATCH', { status: 'active' })).status).toBe(200);
    await answersAtSecond(tenant, 'hello', 200);
  });
});

describe('a tenant that is deleted at one node', () => {
  it('is refused by the other, where its calls in flight finish, and whoever gets its slug finds nothing of it', async () => {
    const tenant = await first.tenant('ending');
    await tenant.deploy('gated', await readFile(join(root, 'test/functions/waits_at_gate.js'), 'utf8'));
    await answersAtSecond(tenant, 'gated', 200);
    const inFlight = atSecond(tenant, 'gated', { 'x-gate': gate.url, 'x-call': 'at the second node' });
    await until(() => gate.arrived.some(({ call }) => call === 'at the second node'));

    expect((await admin(`${PATH}/ending`, 'DELETE')).status).toBe(200);
    await answersAtSecond(tenant, 'gated', 404);

    const again = await first.tenant('ending');
    await again.deploy('gated', "export default () => 'of another tenant';");
    await answersAtSecond(again, 'gated', 200);
    expect(await (await atSecond(again, 'gated')).text()).toBe('of another tenant');
    // The node that deletes a tenant waits for its own calls alone; those here have their time all the same.
    gate.open();
    const answer = await inFlight;
    expect(answer.status).toBe(200);
    await until(() => denoProcessesOf(Number(second.process.pid), 'x-gate').length === 0);
    expect((await atSecond(tenant, 'gated')).status).toBe(401);
    const old = `/api/v1/executions/${answer.headers.get('x-execution-id')}`;
    for (const url of [first.node.url, second.url]) {
      const headers = { authorization: `Bearer ${again.service}` };
      expect((await fetch(`${url}/t/ending${old}`, { headers })).status).toBe(404);
    }
  });
});
