/** What the real Prometheus makes of a node: every query of dashboards and rules has data, and counts are the calls. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dashboards } from '../../deploy/grafana/src/dashboards.js';
import { panelQueries } from '../support/dashboards.js';
import { exactRequest } from '../support/exact_request.js';
import { type Gate, startGate } from '../support/gate.js';
import { root, startNode, type TestNode, until } from '../support/node.js';
import { routersOf } from '../support/processes.js';
import { prometheusMissing, startPrometheus, type TestPrometheus } from '../support/prometheus.js';

const missing = prometheusMissing();
if (missing !== null) console.warn(`The tests with Prometheus are skipped: ${missing}`);

const folder = join(root, 'deploy/prometheus');
const rules = readdirSync(join(folder, 'rules')).map((name) => join(folder, 'rules', name));

describe.skipIf(missing !== null)('the files for Prometheus', () => {
  const promtool = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: folder, encoding: 'utf8' });
    return { status, output: stdout + stderr };
  };

  it('are valid', () => {
    for (const args of [
      ['check', 'config', 'prometheus.yml'],
      ['check', 'rules', ...rules],
    ])
      expect(promtool(...args)).toMatchObject({ status: 0 });
  });

  it('have alerts that fire when they should, and do not when they should not', () => {
    const tests = readdirSync(join(folder, 'tests')).map((name) => join('tests', name));
    expect(promtool('test', 'rules', ...tests)).toMatchObject({ status: 0 });
  });
});

interface Asked {
  path?: string;
  headers?: Record<string, string>;
}

describe.skipIf(missing !== null)('a node that Prometheus watches', () => {
  let node: TestNode;
  let gate: Gate;
  let prometheus: TestPrometheus;
  /** What each call was answered with, by the function's name and the status. */
  const answers = new Map<string, number>();

  /** On a connection of its own, so that both routers get some. */
  async function call(name: string, { path = `/functions/v1/${name}`, headers = {} }: Asked = {}) {
    const key = path.startsWith('/t/') ? {} : { authorization: `Bearer ${node.anon_key}` };
    const { status } = await exactRequest(node.url, { path, headers: { ...key, ...headers } });
    answers.set(`${name} ${status}`, (answers.get(`${name} ${status}`) ?? 0) + 1);
    return status;
  }

  const calls = (name: string, count: number) => Promise.all(Array.from({ length: count }, () => call(name)));

  const answered = (name: string, status: number) => answers.get(`${name} ${status}`) ?? 0;

  /** Prometheus has read a page that was made since. */
  async function scraped() {
    const from = Date.now();
    await until(async () => (await prometheus.scrapedAt()) > from + 100);
  }

  /** One slot, sixteen that wait, and two more that are refused; the gate opens when Prometheus has seen them wait. */
  async function crowd() {
    gate.close();
    const come = gate.arrived.length;
    const gated = (_: unknown, index: number) =>
      call('narrow', { headers: { 'x-gate': gate.url, 'x-call': `${index}` } });
    const waiting = [gated(null, 0)];
    await until(() => gate.arrived.length > come);
    waiting.push(...Array.from({ length: 16 }, gated));
    await until(async () => (await prometheus.sum('hearth_queue_length{faas_name="narrow"}')) === 16);
    expect(await calls('narrow', 2)).toEqual([503, 503]);
    gate.open();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([200]));
  }

  async function traffic(round: number) {
    if (round > 0) {
      // Another version: another process, another module to load.
      const code = `export default () => 'version ${round}';`;
      await node.api('/api/v1/functions/hello', { method: 'PATCH', json: { code } });
    }
    expect(new Set(await calls('hello', 40))).toEqual(new Set([200]));
    expect(new Set(await calls('throws', 4))).toEqual(new Set([500]));
    expect(await Promise.all([call('late'), call('bomb')])).toEqual([504, 502]);
    let status = 200;
    for (let n = 0; n < 10 && status !== 429; n++)
      status = await call('limited', { path: '/t/acme/functions/v1/limited' });
    expect(status).toBe(429);
    await crowd();
    await dueWork();
  }

  /** Of each kind some: calls that nobody waits for, and ticks, which go well, fail and are left out. */
  async function dueWork() {
    for (const name of ['later', 'breaks']) {
      const path = `/api/v1/functions/${name}/invoke`;
      const headers = { prefer: 'respond-async' };
      expect((await node.api(path, { method: 'POST', key: 'anon', headers })).status).toBe(202);
    }
    for (const [name, outcome] of [
      ['later', 'success'],
      ['ticks', 'success'],
      ['failing-ticks', 'error'],
      ['slow-ticks', 'skipped'],
    ]) {
      const ended = `hearth_events_ended_total{faas_name="${name}", hearth_outcome="${outcome}"}`;
      const before = (await prometheus.sum(ended)) ?? 0;
      await until(async () => ((await prometheus.sum(ended)) ?? 0) > before);
    }
  }

  beforeAll(async () => {
    [node, gate] = await Promise.all([startNode({ HEARTH_ROUTERS: '2' }), startGate()]);
    prometheus = await startPrometheus(node.metrics_url, rules);
    const admin = { method: 'POST', key: 'admin' } as const;
    const quotas = {
      calls_per_minute: 4,
      calls_per_day: 1000,
      concurrent_calls: 10,
      live_processes: 4,
      memory_mib: 512,
      functions: 10,
      cpu_seconds_per_month: 1000,
    };
    await node.api('/api/v1/admin/tenants', { ...admin, json: { slug: 'acme', quotas } });
    await node.api('/t/acme/api/v1/functions', {
      ...admin,
      json: { name: 'limited', code: "export default () => 'ok';", allow_unauthenticated: true },
    });
    await node.deploy('hello', "export default () => 'hello';");
    await node.deployFile('throws_an_error.ts', {}, 'throws');
    await node.deployFile('never_resolves.js', { timeout_seconds: 1 }, 'late');
    await node.deployFile('heap_bomb.js', { memory_limit_mb: 64 }, 'bomb');
    await node.deployFile('waits_at_gate.js', { max_concurrency: 1, max_instances: 1 }, 'narrow');
    const everySecond = { cron_schedule: '* * * * * *' };
    await node.deploy('later', "export default () => 'later';");
    await node.deploy('breaks', "export default () => { throw new Error('no'); };");
    await node.deploy('ticks', "export default () => 'tick';", everySecond);
    await node.deploy('failing-ticks', "export default () => { throw new Error('no'); };", everySecond);
    const slow = 'export default () => new Promise((done) => setTimeout(done, 1_500));';
    await node.deploy('slow-ticks', slow, everySecond);
    // A rate needs a second sample that is higher: everything happens twice, and is read in between.
    await traffic(0);
    await scraped();
    await traffic(1);
    await scraped();
  }, 120_000);

  afterAll(async () => {
    await prometheus?.stop();
    await node?.remove();
    await gate?.stop();
  });

  it('counts exactly the calls that were made, over both routers', async () => {
    const expected: [expr: string, count: number][] = [
      ['faas_invocations_total{faas_name="hello"}', answered('hello', 200)],
      ['faas_invocations_total{faas_name="narrow"}', answered('narrow', 200)],
      ['faas_errors_total{faas_name="narrow"}', answered('narrow', 503)],
      ['faas_errors_total{faas_name="throws"}', answered('throws', 500)],
      ['faas_timeouts_total{faas_name="late"}', answered('late', 504)],
      ['faas_errors_total{faas_name="bomb"}', answered('bomb', 502)],
      ['faas_invocations_total{hearth_tenant="acme"}', answered('limited', 200)],
      ['hearth_calls_refused_total{hearth_tenant="acme"}', answered('limited', 429)],
      ['hearth_pool_ended_total{hearth_reason="memory"}', answered('bomb', 502)],
      [requests('http_response_status_code="504", error_type="FUNCTION_TIMEOUT"'), answered('late', 504)],
      [requests('http_response_status_code="503", error_type="OVERLOADED"'), answered('narrow', 503)],
      [requests('http_response_status_code="429", error_type=""'), answered('limited', 429)],
      [requests(''), [...answers.values()].reduce((sum, count) => sum + count, 0)],
    ];
    for (const [expr, count] of expected) {
      expect(count, expr).toBeGreaterThan(0);
      expect([expr, await prometheus.sum(expr)]).toEqual([expr, count]);
    }
  });

  it('has data for every query of every panel', async () => {
    const queries = dashboards().flatMap(panelQueries);
    expect(queries.length).toBeGreaterThan(80);
    const empty: string[] = [];
    for (const { where, expr } of queries) {
      const samples = await prometheus.query(filled(expr));
      if (!samples.some(({ value }) => Number.isFinite(value))) empty.push(`${where}: ${filled(expr)}`);
    }
    expect(empty).toEqual([]);
  });

  it('has values for every variable', async () => {
    const names = dashboards().flatMap((dashboard) => dashboard.templating?.list ?? []);
    const labels = names.flatMap(({ definition }) => {
      const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(definition ?? '') ?? [];
      return selector === undefined || label === undefined ? [] : [{ selector, label }];
    });
    expect(labels.length).toBeGreaterThan(5);
    for (const { selector, label } of labels) {
      const values = (await prometheus.query(filled(selector))).map(({ labels }) => labels[label]);
      expect(values.length, selector).toBeGreaterThan(0);
      expect(values, selector).not.toContain(undefined);
    }
  });

  it('has data for every rule', async () => {
    const { data } = (await (await fetch(`${prometheus.url}/api/v1/rules`)).json()) as {
      data: { groups: { rules: { type: string; name: string; query: string; lastError?: string }[] }[] };
    };
    const all = data.groups.flatMap((group) => group.rules);
    expect(all.filter(({ lastError }) => lastError !== undefined)).toEqual([]);
    expect(all.length).toBeGreaterThan(30);
    const empty: string[] = [];
    for (const { type, name, query } of all) {
      if (HEALTHY_HAS_NONE.has(name)) continue;
      // An alert's comparison leaves only what is wrong: with `bool` it tells 0 or 1 of everything that it looks at.
      const expr = type === 'alerting' ? query.replaceAll(/ (>|==) /g, ' $1 bool ') : query;
      if ((await prometheus.query(expr)).length === 0) empty.push(`${name}: ${expr}`);
    }
    expect(empty).toEqual([]);
  });

  it('goes on counting exactly when a router has died', async () => {
    const [victim] = routersOf(node.process.pid ?? 0);
    process.kill(victim?.pid ?? 0, 'SIGKILL');
    await until(async () => (await prometheus.sum('hearth_router_restarts_total')) === 1);
    await until(async () => {
      const asked = await Promise.all(
        Array.from({ length: 6 }, () => exactRequest(node.url, { path: '/readyz' })),
      ).catch(() => []);
      return asked.length > 0 && asked.every(({ status }) => status === 200);
    });
    expect(new Set(await calls('hello', 40))).toEqual(new Set([200]));
    await scraped();
    expect(await prometheus.sum('faas_invocations_total{faas_name="hello"}')).toBe(answered('hello', 200));
    expect(await prometheus.sum('count by (faas_name) (faas_invocations_total{faas_name="hello"})')).toBe(1);
    const counting = await prometheus.query(
      'count by (__name__) ({job="hearth", __name__=~".+_(total|sum|bucket)"})',
    );
    expect(counting.length).toBeGreaterThan(20);
    for (const { labels } of counting)
      expect(await prometheus.query(`resets(${labels.__name__}[5m]) > 0`)).toEqual([]);
  });
});

function requests(labels: string): string {
  return `http_server_request_duration_seconds_count{http_route="/functions/v1/:name", ${labels}}`;
}

/** What only a disaster gives, and why it cannot be asked of a node that is well. */
const HEALTHY_HAS_NONE = new Map([
  ['HearthAbsent', 'absent() is nothing as long as there is a target'],
  ['HearthMetricsOverflow', 'the overflow series begin with the two thousandth'],
]);

/** A query as Grafana would send it, with the variables' values in it. */
function filled(expr: string): string {
  return expr
    .replaceAll(/\$(node|tenant|function)\b/g, '.*')
    .replaceAll('$__rate_interval', '2m')
    .replaceAll('$__range', '2m');
}
