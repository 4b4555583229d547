/** OpenTelemetry's batches and exporters for spans. Loaded only where a variable asks for them. */
import { createTraceState, type SpanContext, SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { BatchSpanProcessor, ConsoleSpanExporter } from '@opentelemetry/sdk-trace';
import { askedExporters, otlpProtocol, positive, unknownExporter } from './asked.js';
import { hrTime } from './cluster_state.js';
import { withinMs } from './fresh_metrics.js';
import { processResource } from './resource.js';
import type { ExportOptions, FinishedSpan, SpanSink } from './spans.js';

/** Spans that may wait, where OTEL_BSP_MAX_QUEUE_SIZE says nothing (OpenTelemetry's default). */
const MAX_QUEUE = 2048;
const STOP_MS = 3000;
/** Scopes of functions that are told apart; what is beyond shares one. */
const MAX_SCOPES = 256;

const OTHER_SCOPE = { name: 'other', version: '' };

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};
const STATUS = { unset: SpanStatusCode.UNSET, ok: SpanStatusCode.OK, error: SpanStatusCode.ERROR };

export async function startSpanExport({ env, facts, onError }: ExportOptions): Promise<SpanSink | null> {
  const exporters: SpanExporter[] = [];
  for (const name of askedExporters(env, 'TRACES')) {
    if (name === 'otlp') exporters.push(await otlpExporter({ env, facts, onError }));
    else if (name === 'console') exporters.push(new ConsoleSpanExporter());
    else onError(unknownExporter('TRACES', name, ['otlp', 'console', 'none']));
  }
  if (exporters.length === 0) return null;

  const maxQueueSize = positive(env, 'OTEL_BSP_MAX_QUEUE_SIZE') ?? MAX_QUEUE;
  const maxExportBatchSize = Math.min(positive(env, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE') ?? 512, maxQueueSize);
  /** Those that wait and those that are on their way. */
  let held = 0;
  let dropped = 0;

  /** Counts what is out, and reports failures itself: the SDK's way to report them is shared with the metrics. */
  const counting = (exporter: SpanExporter): SpanExporter => ({
    export(spans, done) {
      exporter.export(spans, (result) => {
        held -= spans.length / exporters.length;
        if (result.code !== 0) onError(new Error('Traces could not be exported', { cause: result.error }));
        if (dropped > 0) onError(new Error(`${dropped} spans were dropped: the exporter does not keep up`));
        dropped = 0;
        done({ code: 0 });
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  });
  const processors = exporters.map(
    (exporter) =>
      new BatchSpanProcessor({
        exporter: counting(exporter),
        maxQueueSize,
        maxExportBatchSize,
        scheduledDelayMillis: positive(env, 'OTEL_BSP_SCHEDULE_DELAY') ?? 5000,
        exportTimeoutMillis: positive(env, 'OTEL_BSP_EXPORT_TIMEOUT') ?? 30_000,
      }),
  );
  const resource = processResource(env, facts);
  const scopes = new Map<string, { name: string; version: string }>();

  /** The same object for the same scope: exporters group by it. */
  function scopeOf({ name, version }: FinishedSpan['scope']) {
    const key = `${name} ${version}`;
    let scope = scopes.get(key);
    if (scope !== undefined) return scope;
    if (scopes.size >= MAX_SCOPES) return OTHER_SCOPE;
    scope = { name, version };
    scopes.set(key, scope);
    return scope;
  }

  return {
    hasRoom: () => held < maxQueueSize / 2,
    add(span) {
      if (held >= maxQueueSize) {
        dropped++;
        return;
      }
      held++;
      const readable = toReadable(span, scopeOf(span.scope), resource);
      for (const processor of processors) processor.onEnd(readable);
    },
    async stop() {
      const sent = Promise.all(processors.map((processor) => processor.shutdown())).then(() => {}, onError);
      if (!(await withinMs(sent, STOP_MS)))
        onError(new Error(`Not all traces could be exported within ${STOP_MS} ms`));
    },
  };
}

function toReadable(
  span: FinishedSpan,
  instrumentationScope: { name: string; version: string },
  resource: ReadableSpan['resource'],
): ReadableSpan {
  const { traceId, spanId, parentSpanId, parentIsRemote, tracestate } = span;
  const traceFlags = TraceFlags.SAMPLED;
  const context: SpanContext = { traceId, spanId, traceFlags };
  if (tracestate !== '') context.traceState = createTraceState(tracestate);
  const end = Math.max(span.start, span.end);
  return {
    name: span.name,
    kind: KINDS[span.kind],
    spanContext: () => context,
    ...(parentSpanId === null
      ? {}
      : { parentSpanContext: { traceId, spanId: parentSpanId, traceFlags, isRemote: parentIsRemote } }),
    startTime: hrTime(span.start),
    endTime: hrTime(end),
    duration: hrTime(end - span.start),
    status: {
      code: STATUS[span.status],
      ...(span.statusMessage === '' ? {} : { message: span.statusMessage }),
    },
    attributes: span.attributes,
    links: [],
    events: span.events.map(({ name, time, attributes }) => ({ name, time: hrTime(time), attributes })),
    ended: true,
    resource,
    instrumentationScope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** gRPC alone takes longer to load than the rest of the telemetry. */
async function otlpExporter({ env, onError }: ExportOptions): Promise<SpanExporter> {
  switch (otlpProtocol(env, 'TRACES', onError)) {
    case 'grpc':
      return new (await import('@opentelemetry/exporter-trace-otlp-grpc')).OTLPTraceExporter();
    case 'http/json':
      return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter();
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter();
  }
}
