/** OpenTelemetry's batches and exporters for logs. Loaded only where a variable asks for them. */
import { ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';
import { type AnyValueMap, SeverityNumber } from '@opentelemetry/api-logs';
import {
  BatchLogRecordProcessor,
  ConsoleLogRecordExporter,
  LoggerProvider,
  type LogRecordExporter,
} from '@opentelemetry/sdk-logs';
import { askedExporters, otlpProtocol, positive, unknownExporter } from './asked.js';
import { withinMs } from './fresh_metrics.js';
import type { DescribedError } from './log_scrub.js';
import type { FunctionLine, LogSink } from './logs.js';
import { processResource } from './resource.js';
import type { ExportOptions } from './spans.js';

const STOP_MS = 3000;

const SEVERITY = {
  debug: SeverityNumber.DEBUG,
  info: SeverityNumber.INFO,
  log: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
};

export async function startLogExport({ env, facts, onError }: ExportOptions): Promise<LogSink | null> {
  const exporters: LogRecordExporter[] = [];
  for (const name of askedExporters(env, 'LOGS')) {
    if (name === 'otlp') exporters.push(await otlpExporter({ env, facts, onError }));
    else if (name === 'console') exporters.push(new ConsoleLogRecordExporter());
    else onError(unknownExporter('LOGS', name, ['otlp', 'console', 'none']));
  }
  if (exporters.length === 0) return null;

  const reporting = (exporter: LogRecordExporter): LogRecordExporter => ({
    export(records, done) {
      exporter.export(records, (result) => {
        if (result.code !== 0) onError(new Error('Logs could not be exported', { cause: result.error }));
        done({ code: 0 });
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  });
  const maxQueueSize = positive(env, 'OTEL_BLRP_MAX_QUEUE_SIZE') ?? 2048;
  const provider = new LoggerProvider({
    resource: processResource(env, facts),
    processors: exporters.map(
      (exporter) =>
        new BatchLogRecordProcessor({
          exporter: reporting(exporter),
          maxQueueSize,
          maxExportBatchSize: Math.min(positive(env, 'OTEL_BLRP_MAX_EXPORT_BATCH_SIZE') ?? 512, maxQueueSize),
          scheduledDelayMillis: positive(env, 'OTEL_BLRP_SCHEDULE_DELAY') ?? 1000,
          exportTimeoutMillis: positive(env, 'OTEL_BLRP_EXPORT_TIMEOUT') ?? 30_000,
        }),
    ),
  });
  const platform = provider.getLogger('hearth', facts.version);
  const functions = provider.getLogger('hearth.functions', facts.version);

  return {
    emit({ time, level, message, fields }) {
      const { trace_id, span_id, error, ...others } = fields;
      platform.emit({
        timestamp: time,
        severityNumber: SEVERITY[level],
        severityText: level,
        body: message,
        attributes: { ...namedByConvention(others), ...exceptionAttributes(error) },
        ...contextOf(trace_id === undefined ? null : { traceId: trace_id, spanId: span_id ?? '' }),
      });
    },
    emitLine(line) {
      functions.emit({
        timestamp: line.time,
        severityNumber: SEVERITY[line.level],
        severityText: line.level,
        body: line.text,
        attributes: lineAttributes(line),
        ...contextOf(line.trace),
      });
    },
    async stop() {
      const sent = provider.shutdown().catch(onError);
      if (!(await withinMs(sent, STOP_MS)))
        onError(new Error(`Not all logs could be exported within ${STOP_MS} ms`));
    },
  };
}

const CONVENTIONAL: Record<string, string> = {
  tenant: 'hearth.tenant',
  function: 'faas.name',
  execution_id: 'faas.invocation_id',
  request_id: 'hearth.request_id',
};

function namedByConvention(fields: Record<string, unknown>): AnyValueMap {
  const attributes: AnyValueMap = {};
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      attributes[CONVENTIONAL[name] ?? name] = value;
  }
  return attributes;
}

function exceptionAttributes(error: unknown): AnyValueMap {
  if (typeof error !== 'object' || error === null) return {};
  const { type, message, stack } = error as DescribedError;
  return {
    'exception.type': type,
    'exception.message': message,
    ...(stack === undefined ? {} : { 'exception.stacktrace': stack }),
  };
}

function lineAttributes(line: FunctionLine): AnyValueMap {
  return {
    'hearth.tenant': line.tenant,
    'faas.name': line.function,
    ...(line.executionId === null ? {} : { 'faas.invocation_id': line.executionId }),
  };
}

function contextOf(span: { traceId: string; spanId: string } | null) {
  if (span === null) return {};
  return { context: trace.setSpanContext(ROOT_CONTEXT, { ...span, traceFlags: TraceFlags.SAMPLED }) };
}

async function otlpExporter({ env, onError }: ExportOptions): Promise<LogRecordExporter> {
  switch (otlpProtocol(env, 'LOGS', onError)) {
    case 'grpc':
      return new (await import('@opentelemetry/exporter-logs-otlp-grpc')).OTLPLogExporter();
    case 'http/json':
      return new (await import('@opentelemetry/exporter-logs-otlp-http')).OTLPLogExporter();
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-logs-otlp-proto')).OTLPLogExporter();
  }
}
