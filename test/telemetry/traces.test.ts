/** Traces and logs as a collector gets them, from one node with an OTLP receiver on loopback. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { root, startNode, type TestNode, until } from '../support/node.js';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp.js';

let node: TestNode;
let receiver: OtlpReceiver;
/** What a function fetches: answers with the headers that it got. */
let service: Awaited<ReturnType<typeof startService>>;

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  service = await startService();
  node = await startNode({
    HEARTH_ROUTERS: '1',
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_TIMEOUT: '1000',
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_TRACES_SAMPLER: 'parentbased_always_on',
    OTEL_BSP_SCHEDULE_DELAY: '50',
    OTEL_BLRP_SCHEDULE_DELAY: '50',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
  });
  await node.deploy('makes_spans', await bundled('makes_spans.ts'));
});

afterAll(async () => {
  receiver?.hang(false);
  await node?.remove();
  await receiver?.stop();
  service?.stop();
});

describe('a call', () => {
  it('is one trace: the request, its parts, the function, and below it what the function does', async () => {
    const parent = newParent();
    const path = `makes_spans?secret=1&fetch=${encodeURIComponent(`${service.url}/price?key=hidden`)}`;
    const answer = await node.call(path, {
      headers: { ...parent.headers, tracestate: 'vendor=1', baggage: 'cart=7', 'user-agent': 'a-client' },
    });
    const seen = (await answer.json()) as Record<string, unknown>;
    const spans = await spansOf(parent.traceId, ['function', 'GET', 'price']);
    const server = only(spans, 'GET /functions/v1/:name');
    const [authenticate, claim] = [only(spans, 'authenticate'), only(spans, 'claim')];
    const [call, price, fetched] = [only(spans, 'function'), only(spans, 'price'), only(spans, 'GET')];

    expect(server).toMatchObject({ kind: 2, parentSpanId: parent.spanId, traceState: 'vendor=1', status: 0 });
    expect([authenticate, claim, call].map((span) => span.parentSpanId)).toEqual(
      Array(3).fill(server.spanId),
    );
    expect(price.parentSpanId).toBe(call.spanId);
    expect(fetched.parentSpanId).toBe(price.spanId);
    // How long the asking itself took is a span where it took long.
    const others = spans.filter(({ name }) => name !== 'queue');
    expect(others).toHaveLength(6);

    const id = answer.headers.get('x-execution-id');
    expect(server.attributes).toMatchObject({
      'http.request.method': 'GET',
      'http.route': '/functions/v1/:name',
      'http.response.status_code': 200,
      'url.path': '/functions/v1/makes_spans',
      'url.scheme': 'http',
      'server.address': '127.0.0.1',
      'client.address': '127.0.0.1',
      'user_agent.original': 'a-client',
      'hearth.tenant': 'default',
      'faas.name': 'makes_spans',
      'faas.trigger': 'http',
      'faas.coldstart': true,
      'faas.invocation_id': id,
    });
    expect(JSON.stringify(spans)).not.toMatch(/secret=1|hidden/);
    expect(claim.attributes).toMatchObject({
      'hearth.claim.process_ms': expect.any(Number),
      'hearth.claim.code_ms': expect.any(Number),
      'hearth.claim.environment_ms': expect.any(Number),
      'hearth.claim.import_ms': expect.any(Number),
    });
    expect(call.attributes).toMatchObject({
      'faas.invoked_name': 'makes_spans',
      'faas.invocation_id': id,
      'faas.version': '1',
      'hearth.outcome': 'success',
    });
    expect(price).toMatchObject({ kind: 1, status: 2, scope: 'shop' });
    expect(price.attributes).toEqual({
      items: 3,
      currency: 'EUR',
      'hearth.tenant': 'default',
      'faas.name': 'makes_spans',
      'faas.invocation_id': id,
    });
    expect(price.events).toEqual([{ name: 'looked up', attributes: { hits: 2 } }]);
    expect(fetched).toMatchObject({ kind: 3, status: 0 });
    expect(fetched.attributes).toMatchObject({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'url.full': `${service.url}/price`,
      'server.address': '127.0.0.1',
      'server.port': Number(new URL(service.url).port),
    });

    // The parts lie within the whole, in their order.
    for (const span of spans) expect(span.end).toBeGreaterThanOrEqual(span.start);
    for (const part of [authenticate, claim, call]) {
      expect(part.start).toBeGreaterThanOrEqual(server.start);
      expect(part.end).toBeLessThanOrEqual(server.end);
    }
    expect(claim.start).toBeGreaterThanOrEqual(authenticate.end);
    expect(call.start).toBeGreaterThanOrEqual(claim.end);

    // In and out: the function was told of the trace, and so was the service that it asked.
    expect(seen).toMatchObject({
      traceparent: `00-${parent.traceId}-${call.spanId}-01`,
      tracestate: 'vendor=1',
      active: true,
      carrier: { traceparent: `00-${parent.traceId}-${price.spanId}-01` },
    });
    expect(service.headers.at(-1)).toMatchObject({
      traceparent: `00-${parent.traceId}-${fetched.spanId}-01`,
      tracestate: 'vendor=1',
      baggage: 'cart=7',
      'x-own': 'kept',
    });

    expect(server.resource).toMatchObject({
      'service.name': 'hearth',
      'service.version': expect.stringMatching(/^\d/),
      'service.instance.id': price.resource['service.instance.id'],
      'host.name': expect.any(String),
      'hearth.process': 'router-1',
      'deployment.environment.name': 'test',
    });
    expect(price.resource['hearth.process']).toBe('supervisor');
  });

  it('waits for nothing when it is warm, and is a trace of its own, named after its execution', async () => {
    await node.call('makes_spans');
    const answer = await node.call('makes_spans');
    const traceId = (answer.headers.get('x-execution-id') ?? '').replaceAll('-', '');
    const spans = await spansOf(traceId, ['function', 'price']);
    expect(spans.map(({ name }) => name).sort()).toEqual(
      ['GET /functions/v1/:name', 'authenticate', 'function', 'price'].sort(),
    );
    expect(only(spans, 'GET /functions/v1/:name')).toMatchObject({ parentSpanId: undefined });
    expect(only(spans, 'function').attributes['faas.coldstart']).toBe(false);
  });

  it('is not recorded where its caller says so, and what it tells on says so too', async () => {
    const parent = newParent('00');
    const quiet = await node.call(`makes_spans?fetch=${encodeURIComponent(service.url)}`, {
      headers: parent.headers,
    });
    expect(await quiet.json()).toMatchObject({ traceparent: parent.headers.traceparent });
    expect(service.headers.at(-1)).toMatchObject({ traceparent: parent.headers.traceparent });
    // Whatever would have come has come when a later trace is there.
    const later = newParent();
    await node.call('makes_spans', { headers: later.headers });
    await spansOf(later.traceId, ['function', 'price']);
    expect(receiver.trace(parent.traceId)).toEqual([]);
  });

  it.each([
    ['a version that there is not', 'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
    ['more than there is in this version', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more'],
    ['nonsense', 'nonsense'],
  ])('begins a new trace, without a tracestate, for a traceparent with %s', async (_, traceparent) => {
    const answer = await node.call('makes_spans', { headers: { traceparent, tracestate: 'vendor=1' } });
    const id = (answer.headers.get('x-execution-id') ?? '').replaceAll('-', '');
    expect(await answer.json()).toMatchObject({
      traceparent: expect.stringMatching(`^00-${id}-[0-9a-f]{16}-01$`),
      tracestate: null,
    });
  });
});

describe('due work', () => {
  it('goes on with the trace of the request that made it', async () => {
    const parent = newParent();
    const answer = await node.api('/api/v1/functions/makes_spans/invoke', {
      method: 'POST',
      key: 'anon',
      headers: { ...parent.headers, prefer: 'respond-async' },
    });
    expect(answer.status).toBe(202);
    const spans = await spansOf(parent.traceId, ['POST ', 'async makes_spans', 'function', 'price']);
    const request = only(spans, 'POST /api/v1/functions/:name/invoke');
    expect(request).toMatchObject({ kind: 2, parentSpanId: parent.spanId });
    expect(request.attributes['http.response.status_code']).toBe(202);
    const run = only(spans, 'async makes_spans');
    expect(run).toMatchObject({ kind: 5, parentSpanId: request.spanId, status: 0 });
    expect(run.attributes).toMatchObject({
      'faas.trigger': 'other',
      'faas.name': 'makes_spans',
      'faas.invocation_id': answer.headers.get('x-execution-id'),
      'hearth.tenant': 'default',
    });
    const call = only(spans, 'function');
    expect(call.parentSpanId).toBe(run.spanId);
    expect(only(spans, 'price').parentSpanId).toBe(call.spanId);
  });

  it('is a trace of its own where it is a tick, named after its execution', async () => {
    const code = "export default () => 'tick';";
    await node.deploy('ticks', code, { cron_schedule: '* * * * * *' });
    const ticks = () => receiver.spans.filter(({ name }) => name === 'cron ticks');
    await until(() => ticks().length > 0);
    await node.api('/api/v1/functions/ticks', { method: 'DELETE' });
    const [tick] = ticks();
    expect(tick).toMatchObject({ kind: 5, parentSpanId: undefined, status: 0 });
    expect(tick?.attributes['faas.trigger']).toBe('timer');
    expect(tick?.traceId).toBe(String(tick?.attributes['faas.invocation_id']).replaceAll('-', ''));
  });
});

describe('a call that is no frame', () => {
  it('is the same trace when its body is large', async () => {
    const parent = newParent();
    const body = 'x'.repeat(200_000);
    const answer = await node.call('makes_spans', { method: 'POST', body, headers: parent.headers });
    expect(answer.status).toBe(200);
    const spans = await spansOf(parent.traceId, ['function', 'price']);
    expect(only(spans, 'price').parentSpanId).toBe(only(spans, 'function').spanId);
    expect(only(spans, 'function').parentSpanId).toBe(only(spans, 'POST /functions/v1/:name').spanId);
  });

  it('is a trace as long as its connection when it is upgraded', async () => {
    await node.deployFile('web_socket.ts', {}, 'socket');
    const parent = newParent();
    const socket = new WebSocket(`${node.url.replace('http', 'ws')}/functions/v1/socket`, {
      headers: { ...parent.headers, authorization: `Bearer ${node.anon_key}` },
    });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    expect(receiver.trace(parent.traceId)).toEqual([]);
    socket.close();
    const spans = await spansOf(parent.traceId, ['function']);
    expect(only(spans, 'GET /functions/v1/:name')).toMatchObject({
      status: 0,
      attributes: { 'http.response.status_code': 101, 'faas.name': 'socket' },
    });
    expect(only(spans, 'function').attributes['hearth.outcome']).toBe('success');
  });
});

describe('the metrics page', () => {
  it('names a trace for each bucket that has one, to those who ask for OpenMetrics', async () => {
    const parent = newParent();
    await node.call('makes_spans', { headers: parent.headers });
    const [call] = await spansOf(parent.traceId, ['function']).then((spans) =>
      spans.filter(({ name }) => name === 'function'),
    );
    const page = await fetch(node.metrics_url, { headers: { accept: 'application/openmetrics-text' } });
    expect(page.headers.get('content-type')).toBe(
      'application/openmetrics-text; version=1.0.0; charset=utf-8',
    );
    const text = await page.text();
    const exemplar = `# {trace_id="${parent.traceId}",span_id="${call?.spanId}"}`;
    const line = text.split('\n').find((each) => each.includes(exemplar)) ?? '';
    const [, le = '', value = ''] =
      /^faas_invoke_duration_seconds_bucket\{.*le="(.+?)"\} \d+ # \{.*\} (\S+) \d+\.\d{3}$/.exec(line) ?? [];
    expect(line).toContain('faas_name="makes_spans"');
    expect(Number(value)).toBeGreaterThan(0);
    expect(Number(value)).toBeLessThanOrEqual(Number(le));
    expect(text).toMatch(
      new RegExp(`^http_server_request_duration_seconds_bucket.*trace_id="${parent.traceId}"`, 'm'),
    );
    expect(text).toMatch(/^# TYPE faas_invocations counter$/m);
    expect(text).toMatch(/^faas_invocations_total\{/m);
    expect(text.endsWith('\n# EOF\n')).toBe(true);
    expect(await (await fetch(node.metrics_url)).text()).not.toMatch(/trace_id|EOF/);
  });
});

describe('what fails', () => {
  it('is an error of the function and of the request, with what was thrown', async () => {
    await node.deployFile('throws_an_error.ts', {}, 'throws');
    const parent = newParent();
    expect((await node.call('throws', { headers: parent.headers })).status).toBe(500);
    const spans = await spansOf(parent.traceId, ['function']);
    expect(only(spans, 'GET /functions/v1/:name')).toMatchObject({
      status: 2,
      attributes: { 'http.response.status_code': 500, 'error.type': 'FUNCTION_ERROR' },
    });
    const call = only(spans, 'function');
    expect(call).toMatchObject({ status: 2, attributes: { 'hearth.outcome': 'error' } });
    expect(call.events).toEqual([
      {
        name: 'exception',
        attributes: expect.objectContaining({
          'exception.message': expect.stringMatching(/./),
          'exception.stacktrace': expect.stringContaining('at '),
        }),
      },
    ]);
  });

  it('is told without what may hold the secrets of the function', async () => {
    await node.api('/api/v1/secrets/API_KEY', { method: 'PUT', json: { value: 'a-very-secret-value' } });
    await node.deploy(
      'tells',
      `export default () => {
        const { trace } = globalThis[Symbol.for('opentelemetry.js.api.1')];
        const secret = Deno.env.get('API_KEY');
        trace.getTracer('t').startSpan('told', { attributes: { secret } }).end();
        console.log('it is', secret);
        throw new Error(secret);
      };`,
    );
    const parent = newParent();
    expect((await node.call('tells', { headers: parent.headers })).status).toBe(500);
    const spans = await spansOf(parent.traceId, ['function', 'told']);
    await until(() => receiver.logs.some(({ body }) => String(body).startsWith('it is')));
    expect(only(spans, 'told').attributes.secret).toMatch(/./);
    expect(JSON.stringify([spans, receiver.logs])).not.toContain('a-very-secret-value');
  });

  it('is a request without a call, where there was none', async () => {
    const parent = newParent();
    expect((await node.call('no_such_function', { headers: parent.headers })).status).toBe(404);
    const [server, ...others] = await spansOf(parent.traceId, ['GET /functions/v1/:name', 'authenticate']);
    expect(server).toMatchObject({ status: 0, attributes: { 'http.response.status_code': 404 } });
    expect(others.map(({ name }) => name)).toEqual(['authenticate']);
  });
});

describe('other requests', () => {
  it('of the management API are traces by the names of their routes, and health checks are none', async () => {
    const [parent, refused, health] = [newParent(), newParent(), newParent()];
    await node.api('/healthz', { headers: health.headers });
    await node.api('/api/v1/functions/makes_spans', { headers: parent.headers });
    await node.api('/api/v1/functions/makes_spans', { headers: refused.headers, key: 'anon' });
    const spans = await spansOf(parent.traceId, ['GET', 'authenticate']);
    expect(only(spans, 'GET /api/v1/functions/:name')).toMatchObject({
      status: 0,
      attributes: { 'http.response.status_code': 200, 'hearth.tenant': 'default' },
    });
    expect(spans).toHaveLength(2);
    const [server] = await spansOf(refused.traceId, ['GET']);
    expect(server?.attributes).toMatchObject({ 'http.response.status_code': 403 });
    expect(receiver.trace(health.traceId)).toEqual([]);
  });

  it('that are refused an upgrade have the status of that', async () => {
    const parent = newParent();
    const socket = new WebSocket(`${node.url.replace('http', 'ws')}/functions/v1/makes_spans`, {
      headers: parent.headers,
    });
    await new Promise((resolve) => socket.once('error', resolve));
    const [server] = await spansOf(parent.traceId, ['GET']);
    expect(server).toMatchObject({ status: 0, attributes: { 'http.response.status_code': 401 } });
  });
});

describe('a call that waits', () => {
  it('has a span for that, and one that finds no place is in the log with its trace', async () => {
    const code = `export default async () => (await fetch('${service.url}/hold')).text();`;
    await node.deploy('narrow', code, { max_concurrency: 1, max_instances: 1 });
    const first = node.call('narrow');
    await until(() => service.held() === 1);
    const calls = Array.from({ length: 20 }, () => {
      const parent = newParent();
      return { parent, answer: node.call('narrow', { headers: parent.headers }) };
    });
    const refused = await Promise.race(
      calls.map(async ({ parent, answer }) =>
        (await answer).status === 503 ? { parent, answer: await answer } : never(),
      ),
    );
    service.release();
    const answers = await Promise.all(
      calls.map(async ({ parent, answer }) => ({ parent, status: (await answer).status })),
    );
    expect((await first).status).toBe(200);

    const waited = answers.find(({ status }) => status === 200)?.parent.traceId ?? '';
    const spans = await spansOf(waited, ['queue', 'function', 'GET']);
    const [queue, call] = [only(spans, 'queue'), only(spans, 'function')];
    expect(queue.parentSpanId).toBe(only(spans, 'GET /functions/v1/:name').spanId);
    expect(queue.end - queue.start).toBeGreaterThan(0);
    expect(queue.end).toBeLessThanOrEqual(call.start);

    const { traceId } = refused.parent;
    const none = await spansOf(traceId, ['queue']);
    expect(only(none, 'GET /functions/v1/:name')).toMatchObject({
      status: 2,
      attributes: { 'http.response.status_code': 503, 'error.type': 'OVERLOADED' },
    });
    await until(() => receiver.logs.some((log) => log.traceId === traceId));
    expect(receiver.logs.find((log) => log.traceId === traceId)).toMatchObject({
      severity: 'warn',
      scope: 'hearth',
      attributes: {
        'hearth.tenant': 'default',
        'faas.name': 'narrow',
        code: 'OVERLOADED',
        process: 'router-1',
      },
    });
    const line = node
      .output()
      .split('\n')
      .find((text) => text.includes(traceId));
    expect(JSON.parse(line ?? '')).toMatchObject({
      level: 'warn',
      tenant: 'default',
      function: 'narrow',
      request_id: refused.answer.headers.get('x-request-id'),
      trace_id: traceId,
      process: 'router-1',
    });
  });
});

describe('a function', () => {
  it('cannot put spans into other traces, nor name others as their source, nor send more than it may', async () => {
    await node.deployFile('forges_spans.js', {}, 'forger');
    const victim = newParent();
    await node.call('makes_spans', { headers: victim.headers });
    const before = await spansOf(victim.traceId, ['function', 'price']);
    const parent = newParent();
    const target = `forger?trace=${victim.traceId}&span=${only(before, 'function').spanId}`;
    expect(await (await node.call(target, { headers: parent.headers })).text()).toBe('done');
    const spans = await spansOf(parent.traceId, ['function', 'forged', 'many 100']);
    expect(only(spans, 'forged')).toMatchObject({
      parentSpanId: only(spans, 'function').spanId,
      attributes: { 'hearth.tenant': 'default', 'faas.name': 'forger' },
    });
    const odd = only(spans, 'odd');
    expect(String(odd.attributes.big)).toHaveLength(1024);
    expect(odd.attributes).not.toHaveProperty('nan');
    expect(Math.abs(odd.start - Date.now())).toBeLessThan(60_000);
    expect(spans.filter(({ scope }) => scope === 'forger')).toHaveLength(128);
    expect(receiver.trace(victim.traceId)).toHaveLength(before.length);
    // Its process lives on.
    expect((await node.call(target)).status).toBe(200);
  });

  it('needs no network for its spans', async () => {
    await node.deploy('alone', await bundled('makes_spans.ts'), { allow_net: false });
    const parent = newParent();
    await node.call('alone', { headers: parent.headers });
    const spans = await spansOf(parent.traceId, ['function', 'price']);
    expect(only(spans, 'price').parentSpanId).toBe(only(spans, 'function').spanId);
  });

  it('does not reach the collector itself', async () => {
    await node.deploy(
      'reaches',
      `export default async (request) => {
        const url = new URL(request.url).searchParams.get('url');
        return await fetch(url, { method: 'POST' }).then(() => 'reached', (error) => error + " " + error.cause);
      };`,
    );
    for (const url of [receiver.url, receiver.url.replace('127.0.0.1', 'localhost')])
      expect(await (await node.call(`reaches?url=${url}/v1/traces`)).text()).toMatch(/net access/);
    expect(await (await node.call(`reaches?url=${service.url}`)).text()).toBe('reached');
  });

  it('has its lines exported with the trace and the span that they were written in', async () => {
    const parent = newParent();
    const answer = await node.call('makes_spans', { headers: parent.headers });
    const spans = await spansOf(parent.traceId, ['price', 'function']);
    const ours = () => receiver.logs.filter(({ traceId }) => traceId === parent.traceId);
    await until(() => ours().length > 0);
    expect(ours()).toEqual([
      expect.objectContaining({
        spanId: only(spans, 'price').spanId,
        body: 'pricing',
        severity: 'log',
        scope: 'hearth.functions',
        attributes: {
          'hearth.tenant': 'default',
          'faas.name': 'makes_spans',
          'faas.invocation_id': answer.headers.get('x-execution-id'),
        },
      }),
    ]);
  });
});

describe('a collector that does not answer', () => {
  it('slows no call and breaks none; traces are not begun while there is no room, and come again after that', async () => {
    await node.deploy('small', `export default () => 'ok';`, { allow_unauthenticated: true });
    receiver.hang(true);
    for (let n = 0; n < 6; n++) {
      const answers = await Promise.all(
        Array.from({ length: 100 }, () => node.call('small', { key: 'none' })),
      );
      expect(answers.map(({ status }) => status)).toEqual(Array(100).fill(200));
    }
    receiver.hang(false);
    await until(async () => {
      const parent = newParent();
      await node.call('small', { key: 'none', headers: parent.headers });
      await until(() => receiver.trace(parent.traceId).length > 0, 2_000).catch(() => {});
      return receiver.trace(parent.traceId).length > 0;
    });
  });
});

/** Waits until the trace has spans of these names, and then for those that are on their way at the same time. */
async function spansOf(traceId: string, names: string[]): Promise<ReceivedSpan[]> {
  const has = (name: string) => receiver.trace(traceId).some((span) => span.name.startsWith(name));
  await until(
    () => names.every(has) && receiver.trace(traceId).some(({ kind }) => kind === 2),
    20_000,
    () => `${receiver.trace(traceId).map(({ name }) => name)}\n${node.output()}`,
  );
  return receiver.trace(traceId);
}

function only(spans: ReceivedSpan[], name: string): ReceivedSpan {
  const found = spans.filter((span) => span.name === name);
  expect(found, `spans named ${name} of ${spans.map((span) => span.name)}`).toHaveLength(1);
  return found[0] as ReceivedSpan;
}

function newParent(flags = '01') {
  const hex = (length: number) =>
    Array.from({ length }, () => Math.floor(Math.random() * 15 + 1).toString(16)).join('');
  const [traceId, spanId] = [hex(32), hex(16)];
  return { traceId, spanId, headers: { traceparent: `00-${traceId}-${spanId}-${flags}` } };
}

function never(): Promise<never> {
  return new Promise(() => {});
}

/** With the real `@opentelemetry/api` in it, as a deploy would bundle it from the registry. */
async function bundled(file: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'test/functions', file)],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
  });
  return outputFiles[0]?.text ?? '';
}

async function startService() {
  const headers: Record<string, unknown>[] = [];
  let held: (() => void)[] | null = [];
  const server = createServer(async (request, response) => {
    headers.push(request.headers);
    if (request.url === '/hold')
      await new Promise<void>((resolve) => (held === null ? resolve() : held.push(resolve)));
    response.end('3');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    headers,
    /** Requests of `/hold` that wait. */
    held: () => held?.length ?? 0,
    release() {
      for (const go of held ?? []) go();
      held = null;
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
