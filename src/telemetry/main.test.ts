import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StartError } from '../errors.js';
import { createClusterMetrics } from './cluster_metrics.js';
import { createInstruments, faasTrigger, httpMethod } from './instruments.js';
import { startTelemetry, type Telemetry, type TelemetryOptions } from './main.js';
import { watchProcess } from './process_watch.js';
import { createRecorder } from './recorder.js';

const releasers: Array<() => unknown> = [];
let errors: unknown[] = [];

beforeEach(() => {
  errors = [];
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) vi.stubEnv(name, undefined);
});

afterEach(async () => {
  for (const release of releasers.splice(0).reverse()) await release();
  vi.unstubAllEnvs();
});

describe('the metrics page', () => {
  it('is Prometheus text with the names and units of the conventions', async () => {
    const node = fakeNode();
    const { instruments } = node;
    const call = { 'hearth.tenant': 'default', 'faas.name': 'hello', 'faas.trigger': 'http' } as const;
    instruments.invocations.with(call).add(3);
    const duration = instruments.invokeDuration.with({ ...call, 'hearth.outcome': 'success' });
    for (const seconds of [0.0004, 0.02, 400]) duration.record(seconds);
    instruments.codeCacheBytes.with({}).set(4096);
    instruments.poolEnded.with({ 'hearth.reason': 'a "quoted" \\ reason\nof two lines' }).add(1);
    const watch = watchProcess(instruments);
    releasers.push(() => watch.stop());
    watch.sample();

    const telemetry = await start({ metrics: node.metrics, beforeScrape: node.report });
    const response = await fetch(urlOf(telemetry));
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const page = parsePrometheus(await response.text());

    expect(page.samples('faas_invocations_total')).toEqual([
      [{ hearth_tenant: 'default', faas_name: 'hello', faas_trigger: 'http' }, 3],
    ]);
    expect(page.types.get('faas_invocations_total')).toBe('counter');
    expect(page.types.get('faas_invoke_duration_seconds')).toBe('histogram');
    const buckets = page.samples('faas_invoke_duration_seconds_bucket');
    const upTo = (le: string) => buckets.find(([labels]) => labels.le === le)?.[1];
    expect([upTo('0.0005'), upTo('0.01'), upTo('0.025'), upTo('300'), upTo('+Inf')]).toEqual([1, 1, 2, 2, 3]);
    expect(page.samples('faas_invoke_duration_seconds_count')[0]?.[1]).toBe(3);
    expect(page.samples('hearth_code_cache_bytes')).toEqual([[{}, 4096]]);
    expect(page.samples('hearth_pool_ended_total')).toEqual([
      [{ hearth_reason: 'a "quoted" \\ reason\nof two lines' }, 1],
    ]);
    expect(page.samples('nodejs_eventloop_utilization_ratio')[0]?.[0]).toEqual({
      hearth_process: 'router-1',
    });
    expect(page.samples('process_memory_usage_bytes')[0]?.[1]).toBeGreaterThan(1e6);
    expect(page.types.get('process_memory_usage_bytes')).toBe('gauge');
    expect(page.samples('target_info')[0]?.[0]).toMatchObject({
      service_name: 'hearth',
      service_version: '1.2.3',
      service_instance_id: 'node-a',
      host_name: expect.stringMatching(/./),
    });
    expect(errors).toEqual([]);
  });

  it('asks for the newest points at each scrape', async () => {
    const node = fakeNode();
    const series = node.instruments.routerRestarts.with({});
    const telemetry = await start({ metrics: node.metrics, beforeScrape: node.report });
    for (const expected of [1, 2, 3]) {
      series.add(1);
      const page = parsePrometheus(await (await fetch(urlOf(telemetry))).text());
      expect(page.samples('hearth_router_restarts_total')).toEqual([[{}, expected]]);
    }
  });

  it('is served without the newest points when asking for them fails or takes too long', async () => {
    const node = fakeNode();
    node.instruments.routerRestarts.with({}).add(1);
    await node.report();
    let answer = () => {};
    const refreshes = [
      () => Promise.reject(new Error('a router is stuck')),
      () =>
        new Promise<void>((resolve) => {
          answer = resolve;
        }),
    ];
    const telemetry = await start({
      metrics: node.metrics,
      beforeScrape: () => (refreshes.shift() ?? node.report)(),
    });
    for (let i = 0; i < 2; i++) {
      expect(await (await fetch(urlOf(telemetry))).text()).toContain('hearth_router_restarts_total 1');
    }
    answer();
    expect(errors).toEqual([new Error('a router is stuck')]);
  });

  it('takes the name of the service and more of the resource from the OTEL_* variables', async () => {
    vi.stubEnv('OTEL_SERVICE_NAME', 'shop');
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'deployment.environment.name=staging');
    const telemetry = await start();
    const page = parsePrometheus(await (await fetch(urlOf(telemetry))).text());
    expect(page.samples('target_info')[0]?.[0]).toMatchObject({
      service_name: 'shop',
      deployment_environment_name: 'staging',
    });
  });

  it('is the same without the SDK as with it', async () => {
    const node = fakeNode();
    node.instruments.routerRestarts.with({}).add(1);
    node.instruments.poolEnded.with({ 'hearth.reason': 'idle' }).add(2);
    node.instruments.queueWait.with({ 'hearth.tenant': 'default', 'faas.name': 'hello' }).record(0.2);
    const pages: string[] = [];
    for (const exporter of [undefined, 'none']) {
      vi.stubEnv('OTEL_METRICS_EXPORTER', exporter);
      const telemetry = await start({ metrics: node.metrics, beforeScrape: node.report });
      pages.push(await (await fetch(urlOf(telemetry))).text());
      await telemetry.stop();
    }
    expect(pages[0]).toContain('hearth_pool_ended_total{hearth_reason="idle"} 2');
    expect(pages[0]).toBe(pages[1]);
  });

  it('is the only thing that its listener serves', async () => {
    const telemetry = await start();
    const missing = await fetch(new URL('/healthz', urlOf(telemetry)));
    expect(missing.status).toBe(404);
    expect(missing.headers.get('content-type')).toBe('application/json');
    expect(await missing.json()).toMatchObject({
      code: 'NOT_FOUND',
      error: expect.any(String),
      request_id: expect.any(String),
    });

    const posted = await fetch(urlOf(telemetry), { method: 'POST', body: 'x' });
    expect(posted.status).toBe(405);
    expect(posted.headers.get('allow')).toBe('GET, HEAD');
    expect(await posted.json()).toMatchObject({ code: 'INVALID_REQUEST' });

    const head = await fetch(`${urlOf(telemetry)}?x=1`, { method: 'HEAD' });
    expect(head.status).toBe(200);
  });

  it('is gone after stop, also for connections that were kept alive', async () => {
    const telemetry = await start();
    await (await fetch(urlOf(telemetry))).text();
    await telemetry.stop();
    await expect(fetch(urlOf(telemetry))).rejects.toThrow();
  });

  it('names the setting in one line when its port is busy, and can be started on another', async () => {
    const taken = createTcpServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    releasers.push(() => new Promise((resolve) => taken.close(resolve)));
    const address = taken.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const failed = await start({ port: address.port }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(StartError);
    expect(String(failed)).toMatch(
      new RegExp(`^StartError: .*\\b${address.port}\\b.*in use.*HEARTH_METRICS_PORT.*$`),
    );

    const telemetry = await start();
    expect((await fetch(urlOf(telemetry))).status).toBe(200);
  });
});

describe('exporting', () => {
  it('opens no connection when no OTEL_* variable asks for one', async () => {
    const opened = vi.fn();
    subscribe('net.client.socket', opened);
    releasers.push(() => unsubscribe('net.client.socket', opened));
    const node = fakeNode();
    node.instruments.routerRestarts.with({}).add(1);
    const telemetry = await start({ port: 'off', metrics: node.metrics, beforeScrape: node.report });
    expect(telemetry.metricsUrl).toBeNull();
    await telemetry.stop();
    expect(opened).not.toHaveBeenCalled();
    expect(errors).toEqual([]);
  });

  it('sends the metrics of the cluster by OTLP when an endpoint is set, at the latest at stop', async () => {
    const bodies: string[] = [];
    const collector = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      bodies.push(`${request.url} ${body}`);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    releasers.push(() => {
      collector.closeAllConnections();
      return new Promise((resolve) => collector.close(resolve));
    });
    const address = collector.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${address.port}`);
    vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/json');

    const node = fakeNode();
    node.instruments.routerRestarts.with({}).add(4);
    node.instruments.queueWait.with({ 'hearth.tenant': 'default', 'faas.name': 'hello' }).record(0.2);
    const telemetry = await start({ metrics: node.metrics, beforeScrape: node.report });
    await telemetry.stop();

    const body = bodies.find((it) => it.startsWith('/v1/metrics '));
    expect(body).toContain('"name":"hearth.router.restarts"');
    expect(body).toContain('"asDouble":4');
    expect(body).toContain('"bucketCounts"');
    expect(body).toContain('"service.instance.id"');
    expect(errors).toEqual([]);
  });

  it('reports an exporter that it does not know, and goes on', async () => {
    vi.stubEnv('OTEL_METRICS_EXPORTER', 'carrier-pigeon');
    const telemetry = await start();
    expect((await fetch(urlOf(telemetry))).status).toBe(200);
    expect(String(errors[0])).toContain('carrier-pigeon');
  });

  it('starts nothing when OTEL_SDK_DISABLED is true', async () => {
    vi.stubEnv('OTEL_SDK_DISABLED', 'true');
    expect((await start()).metricsUrl).toBeNull();
  });
});

describe('the instruments', () => {
  it('are each described in docs/metrics.md', async () => {
    const docs = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
    const defined = new Set<string>();
    const recorder = createRecorder();
    createInstruments({
      ...recorder,
      counter: (definition) => recorder.counter(noted(definition)),
      gauge: (definition) => recorder.gauge(noted(definition)),
      histogram: (definition) => recorder.histogram(noted(definition)),
    });
    function noted<D extends { name: string }>(definition: D): D {
      defined.add(definition.name);
      return definition;
    }
    const described = new Set([...docs.matchAll(/^\| `([a-z_.0-9]+)` \|/gm)].map(([, name]) => name));
    expect([...described].sort()).toEqual([...defined].sort());
  });

  it('keep what callers make up out of the attributes', () => {
    expect([httpMethod('GET'), httpMethod('PATCH'), httpMethod('get'), httpMethod('BREW')]).toEqual([
      'GET',
      'PATCH',
      '_OTHER',
      '_OTHER',
    ]);
    expect(faasTrigger('cron')).toBe('timer');
  });
});

/** One process that reports to the primary when it is asked. */
function fakeNode() {
  const recorder = createRecorder();
  const metrics = createClusterMetrics();
  const report = async () => metrics.absorb('router-1', recorder.drain());
  return { instruments: createInstruments(recorder), metrics, report };
}

async function start(options: Partial<TelemetryOptions> = {}): Promise<Telemetry> {
  const telemetry = await startTelemetry({
    env: process.env,
    version: '1.2.3',
    instanceId: 'node-a',
    host: '127.0.0.1',
    port: 0,
    metrics: createClusterMetrics(),
    beforeScrape: async () => {},
    onError: (error) => errors.push(error),
    ...options,
  });
  await telemetry.loaded;
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= telemetry.stop();
    return stopped;
  };
  releasers.push(stop);
  return { ...telemetry, stop };
}

function urlOf(telemetry: Telemetry): string {
  if (telemetry.metricsUrl === null) throw new Error('there is no metrics page');
  return telemetry.metricsUrl;
}

type Labels = Record<string, string>;

/** The text format of Prometheus, strictly: one HELP and TYPE before a family's samples, no family and no series twice. */
function parsePrometheus(text: string) {
  const types = new Map<string, string>();
  const samples = new Map<string, Array<[Labels, number]>>();
  const seen = new Set<string>();
  let family = '';
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '' || /^# (?!HELP|TYPE)/.test(line)) continue;
    const help = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) .+$/.exec(line);
    const type = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)$/.exec(line);
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (help?.[1] !== undefined) {
      if (types.has(help[1])) throw new Error(`twice: ${line}`);
      family = help[1];
    } else if (type?.[1] !== undefined && type[2] !== undefined) {
      if (type[1] !== family) throw new Error(`TYPE without HELP: ${line}`);
      types.set(family, type[2]);
    } else if (sample?.[1] !== undefined) {
      const name = sample[1];
      const names =
        types.get(family) === 'histogram'
          ? ['_bucket', '_sum', '_count'].map((end) => family + end)
          : [family];
      const value = Number(sample[3] === '+Inf' ? 'Infinity' : sample[3]);
      if (!types.has(family) || !names.includes(name)) throw new Error(`outside of its family: ${line}`);
      if (Number.isNaN(value)) throw new Error(`no number: ${line}`);
      const labels = parseLabels(sample[2] ?? '');
      const identity = name + JSON.stringify(Object.entries(labels).sort());
      if (seen.has(identity)) throw new Error(`twice: ${line}`);
      seen.add(identity);
      samples.set(name, [...(samples.get(name) ?? []), [labels, value]]);
    } else {
      throw new Error(`not Prometheus text: ${line}`);
    }
  }
  return { types, samples: (name: string) => samples.get(name) ?? [] };
}

function parseLabels(text: string): Labels {
  const labels: Labels = {};
  let rest = text;
  while (rest !== '') {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,(?=.)|$)/.exec(rest);
    if (match?.[1] === undefined || match[2] === undefined) throw new Error(`not labels: ${rest}`);
    if (match[1] in labels) throw new Error(`a label twice: ${text}`);
    labels[match[1]] = match[2].replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
    rest = rest.slice(match[0].length);
  }
  return labels;
}
