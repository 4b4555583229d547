import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type OtlpReceiver, startOtlpReceiver } from '../../test/support/otlp.js';
import { otlpEndpoints } from './asked.js';
import { createSpanIds, type FinishedSpan, type SpanSink, startSpans } from './spans.js';

const newSpanId = createSpanIds();
let receiver: OtlpReceiver;
let sink: SpanSink | null = null;
let errors: string[] = [];

beforeEach(async () => {
  errors = [];
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) vi.stubEnv(name, undefined);
  receiver = await startOtlpReceiver();
});

afterEach(async () => {
  receiver.hang(false);
  await sink?.stop();
  sink = null;
  await receiver.stop();
  vi.unstubAllEnvs();
});

/** The exporters read the environment themselves. */
async function start(env: Record<string, string>): Promise<SpanSink | null> {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  sink = await startSpans({
    env,
    facts: { version: '1.2.3', instanceId: 'node-a', process: 'router-1' },
    onError: (error) => errors.push(String(error)),
  });
  return sink;
}

function span(change: Partial<FinishedSpan> = {}): FinishedSpan {
  return {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: newSpanId(),
    parentSpanId: null,
    parentIsRemote: false,
    tracestate: 'a=1',
    name: 'work',
    kind: 'internal',
    start: 1_700_000_000_000.25,
    end: 1_700_000_000_001.5,
    attributes: { n: 1, list: ['a', 'b'] },
    status: 'error',
    statusMessage: 'why',
    events: [{ name: 'seen', time: 1_700_000_000_001, attributes: { yes: true } }],
    scope: { name: 'scope', version: '1' },
    ...change,
  };
}

describe('spans', () => {
  it('are sent as they were made, with what is known of the process', async () => {
    const sink = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      KUBERNETES_SERVICE_HOST: '192.0.2.1',
      POD_NAME: 'hearth-0',
      POD_NAMESPACE: 'functions',
    });
    const made = span();
    sink?.add(made);
    await sink?.stop();
    expect(receiver.spans).toEqual([
      {
        traceId: made.traceId,
        spanId: made.spanId,
        parentSpanId: undefined,
        traceState: 'a=1',
        name: 'work',
        kind: 1,
        start: expect.closeTo(made.start, 2),
        end: expect.closeTo(made.end, 2),
        attributes: { n: 1, list: ['a', 'b'] },
        status: 2,
        events: [{ name: 'seen', attributes: { yes: true } }],
        scope: 'scope',
        resource: expect.objectContaining({
          'service.name': 'hearth',
          'service.version': '1.2.3',
          'service.instance.id': 'node-a',
          'hearth.process': 'router-1',
          'process.pid': process.pid,
          'k8s.pod.name': 'hearth-0',
          'k8s.namespace.name': 'functions',
        }),
      },
    ]);
    expect(errors).toEqual([]);
  });

  it('are sent as protobuf unless JSON is asked for', async () => {
    const sink = await start({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/v1/traces` });
    sink?.add(span());
    await sink?.stop();
    expect(receiver.requests).toEqual(['application/x-protobuf /v1/traces']);
  });

  it('are refused while the collector does not answer and the queue is full, which is told', async () => {
    const sink = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_MAX_QUEUE_SIZE: '20',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '5',
    });
    receiver.hang(true);
    expect(sink?.hasRoom()).toBe(true);
    for (let n = 0; n < 100; n++) sink?.add(span({ name: `n${n}` }));
    expect(sink?.hasRoom()).toBe(false);
    receiver.hang(false);
    await vi.waitFor(() => expect(sink?.hasRoom()).toBe(true), 5000);
    await sink?.stop();
    expect(receiver.spans.map(({ name }) => name)).toEqual(Array.from({ length: 20 }, (_, n) => `n${n}`));
    expect(errors).toEqual(['Error: 80 spans were dropped: the exporter does not keep up']);
  });

  it('that cannot be sent are told of', async () => {
    await receiver.stop();
    const sink = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: '300',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    });
    sink?.add(span());
    await sink?.stop();
    expect(errors).toEqual(['Error: Traces could not be exported']);
    receiver = await startOtlpReceiver();
  });

  it('go nowhere, and load nothing, unless a variable asks for it', async () => {
    for (const env of [
      {},
      { OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url },
      { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: receiver.url },
      { OTEL_SDK_DISABLED: 'true', OTEL_TRACES_EXPORTER: 'otlp' },
    ])
      expect(await start(env)).toBeNull();
    expect(errors).toEqual([]);
    expect(await start({ OTEL_TRACES_EXPORTER: 'zipkin' })).toBeNull();
    expect(errors).toEqual([
      'Error: OTEL_TRACES_EXPORTER names zipkin, which is none of otlp, console, none.',
    ]);
  });
});

describe('ids of spans', () => {
  it('are 16 hexadecimal digits, each another, also beyond one block of random bytes', () => {
    const ids = Array.from({ length: 2000 }, newSpanId);
    expect(new Set(ids).size).toBe(2000);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe('where OTLP goes', () => {
  it.each([
    [{}, []],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otel.example.com/x' },
      [{ host: 'otel.example.com', port: 443 }],
    ],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, [{ host: 'localhost', port: 4318 }]],
    [
      { OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      [{ host: 'localhost', port: 4317 }],
    ],
    [
      {
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://[::1]:9/v1/logs',
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'collector:4317',
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc',
      },
      [
        { host: 'collector', port: 4317 },
        { host: '::1', port: 9 },
      ],
    ],
  ])('is known for %j', (env, expected) => {
    expect(otlpEndpoints(env)).toEqual(expected);
  });
});
