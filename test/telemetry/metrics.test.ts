/** What a node's own metrics page says of requests, tenants, quotas, the database, and of what is no more. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exactRequest } from '../support/exact_request.js';
import { type MetricsPage, scrape, total } from '../support/metrics.js';
import { until } from '../support/node.js';
import { startTenantNode, type TenantNode } from '../support/tenants.js';

const ANSWERS = "export default () => 'hello';";

let running: TenantNode;

beforeAll(async () => {
  running = await startTenantNode();
});
afterAll(() => running?.stop());

const page = () => scrape(running.node.metrics_url);

/** Which series of a name there are, by the value of one label. */
function values(of: MetricsPage, name: string, label: string): string[] {
  return of.samples.filter((sample) => sample.name === name).map(({ labels }) => labels[label] ?? '');
}

/** Names of the metrics that have a series with these labels. */
function about(of: MetricsPage, labels: Record<string, string>): string[] {
  const found = of.samples.filter((sample) =>
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  return [...new Set(found.map(({ name }) => name))];
}

describe('a node that has just started', () => {
  it('shows what only a disaster counts, at 0', async () => {
    const now = await page();
    for (const name of ['hearth_executions_dropped_total', 'hearth_router_restarts_total'])
      expect(values(now, name, 'none'), name).toHaveLength(1);
    expect(total(now, 'hearth_executions_dropped_total')).toBe(0);
    expect(values(now, 'hearth_pool_ended_total', 'hearth_reason')).toEqual(
      expect.arrayContaining(['memory', 'crash', 'failed', 'unreachable', 'timeout', 'cpu']),
    );
    const failures = values(now, 'http_server_request_duration_seconds_count', 'error_type');
    expect(failures).toEqual(expect.arrayContaining(['INTERNAL', 'OVERLOADED', 'UNAVAILABLE']));
    expect(total(now, 'hearth_pool_size')).toBe(2);
    expect(total(now, 'hearth_database_up')).toBe(1);
  });
});

describe('requests', () => {
  const count = (of: MetricsPage, labels: Record<string, string>) =>
    total(of, 'http_server_request_duration_seconds_count', labels);

  it('are counted by method, status and route, whoever answered them', async () => {
    const { node } = running;
    await node.deploy('hello', ANSWERS, { allow_unauthenticated: true, routes: ['/greetings/:who'] });
    await node.deploy('teapot', "export default () => new Response('short and stout', { status: 503 });", {
      allow_unauthenticated: true,
    });
    const before = await page();
    for (const path of ['/functions/v1/hello', '/t/default/functions/v1/hello', '/greetings/you'])
      expect((await exactRequest(node.url, { path })).status).toBe(200);
    expect((await exactRequest(node.url, { path: '/functions/v1/nobody' })).status).toBe(404);
    expect((await exactRequest(node.url, { path: '/functions/v1/teapot' })).status).toBe(503);
    expect((await exactRequest(node.url, { path: '/api/v1/functions' })).status).toBe(401);
    expect((await exactRequest(node.url, { method: 'PURGE', path: '/functions/v1/hello' })).status).toBe(200);
    const ok = { url_scheme: 'http', http_response_status_code: '200', http_request_method: 'GET' };
    const call = '/functions/v1/:name';
    const expected: [Record<string, string>, number][] = [
      [{ ...ok, http_route: call }, 2],
      [{ ...ok, http_route: '/*' }, 1],
      [{ http_response_status_code: '404', http_route: call }, 1],
      [{ http_response_status_code: '503', http_route: call, error_type: '503' }, 1],
      [{ http_response_status_code: '503', http_route: call, error_type: 'UNAVAILABLE' }, 0],
      [{ http_response_status_code: '401', http_route: '/api/v1/*' }, 1],
      [{ http_request_method: '_OTHER', http_route: call }, 1],
    ];
    // An answer is counted when its connection has taken all of it, a moment after its client has it.
    const differences = (now: MetricsPage) =>
      expected.map(([labels]) => count(now, labels) - count(before, labels));
    let now = before;
    await until(async () => {
      now = await page();
      return differences(now).reduce((sum, each) => sum + each, 0) >= 7;
    });
    expect(differences(now)).toEqual(expected.map(([, times]) => times));
  });
});

describe('a client that goes away before it has an answer', () => {
  it('is counted as such, without a status', async () => {
    const { hostname, port } = new URL(running.node.url);
    const socket = connect(Number(port), hostname);
    // The rest of the body never comes.
    socket.write('POST /functions/v1/hello HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf', () =>
      socket.destroy(),
    );
    await until(async () => {
      const gone = (await page()).samples.filter(
        ({ name, labels }) =>
          name === 'http_server_request_duration_seconds_count' && labels.error_type === 'client_gone',
      );
      expect(gone.map(({ labels }) => labels.http_response_status_code)).toEqual(gone.map(() => undefined));
      return gone.length === 1 && gone[0]?.value === 1;
    });
  });
});

describe('tenants', () => {
  it('show their quotas with what is used of them, and nothing when they are gone', async () => {
    const quotas = {
      calls_per_day: 50,
      live_processes: 3,
      memory_mib: 512,
      functions: 7,
      concurrent_calls: 9,
    };
    const tenant = await running.tenant('acme', { quotas });
    await tenant.deploy('answers', ANSWERS, { memory_limit_mb: 64 });
    for (let n = 0; n < 3; n++) expect((await tenant.call('answers')).status).toBe(200);
    const of = (quota: string) => ({ hearth_tenant: 'acme', hearth_quota: quota });
    // What the routers hold unspent counts as used until they give it back.
    await until(async () => total(await page(), 'hearth_quota_used', of('calls_per_day')) === 3);
    const now = await page();
    for (const [quota, limit] of Object.entries(quotas))
      expect(total(now, 'hearth_quota_limit', of(quota)), quota).toBe(limit);
    expect(total(now, 'hearth_quota_used', of('live_processes'))).toBe(1);
    expect(total(now, 'hearth_quota_used', of('memory_mib'))).toBe(64);
    expect(total(now, 'hearth_quota_used', of('functions'))).toBe(1);
    expect(total(now, 'hearth_tenant_processes', { hearth_tenant: 'acme' })).toBe(1);
    expect(total(now, 'hearth_tenant_memory_bytes', { hearth_tenant: 'acme' })).toBe(64 * 1024 * 1024);

    await running.node.api('/api/v1/admin/tenants/acme', {
      method: 'PATCH',
      key: 'admin',
      json: { quotas: { functions: null } },
    });
    await until(
      async () => !values(await page(), 'hearth_quota_limit', 'hearth_quota').includes('functions'),
    );

    await running.node.api('/api/v1/admin/tenants/acme', { method: 'DELETE', key: 'admin' });
    await until(async () => about(await page(), { hearth_tenant: 'acme' }).length === 0);
  });
});

describe('a function that is deleted', () => {
  it('has no series any more, and begins from 0 when it is there again', async () => {
    const { node } = running;
    const here = { hearth_tenant: 'default', faas_name: 'passing' };
    await node.deploy('passing', ANSWERS);
    for (let n = 0; n < 4; n++) expect((await node.call('passing')).status).toBe(200);
    const calls = async () => total(await page(), 'faas_invocations_total', here);
    await until(async () => (await calls()) === 4);
    // Nobody has read of this one when the function goes.
    expect((await node.call('passing')).status).toBe(200);
    expect((await node.api('/api/v1/functions/passing', { method: 'DELETE' })).status).toBe(204);
    await until(async () => about(await page(), here).length === 0);

    await node.deploy('passing', ANSWERS);
    expect((await node.call('passing')).status).toBe(200);
    await until(async () => (await calls()) === 1);
  });
});

describe('the database', () => {
  it('is shown with its connections, and when it is away', async () => {
    await until(async () => {
      const pools = values(await page(), 'db_client_connection_count', 'db_client_connection_pool_name');
      return pools.includes('hearth-router') && pools.includes('hearth-supervisor');
    });
    const written = total(await page(), 'db_client_operation_duration_seconds_count', {
      db_operation_name: 'COPY',
    });
    expect(written).toBeGreaterThan(0);

    await running.pauseDatabase();
    await until(async () => total(await page(), 'hearth_database_up') === 0);
    expect((await running.node.call('hello')).status).toBe(200);
    expect((await running.node.api('/api/v1/functions')).status).toBe(503);
    const refused = { http_route: '/api/v1/*', error_type: 'UNAVAILABLE' };
    await until(async () => total(await page(), 'http_server_request_duration_seconds_count', refused) === 1);
    await until(async () => {
      const failures = (await page()).samples.filter(
        ({ name, labels }) =>
          name === 'db_client_operation_duration_seconds_count' && labels.error_type !== undefined,
      );
      const failed = new Set(failures.map(({ labels }) => labels.db_operation_name));
      return failed.has('COPY') && failed.has('SELECT');
    });
    expect(values(await page(), 'db_client_connection_count', 'db_client_connection_state')).toEqual([]);
    expect(total(await page(), 'hearth_executions_buffered')).toBeGreaterThan(0);

    await running.resumeDatabase();
    await until(async () => total(await page(), 'hearth_database_up') === 1);
    await until(async () => total(await page(), 'hearth_executions_buffered') === 0);
    expect(total(await page(), 'hearth_executions_dropped_total')).toBe(0);
  });
});
