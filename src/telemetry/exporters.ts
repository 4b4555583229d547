/** What sends the metrics on, where OTEL_* variables ask for it. */
import { metrics as sdk } from '@opentelemetry/sdk-node';
import { askedExporters, type Env, otlpProtocol, positive, unknownExporter } from './asked.js';

const DEFAULT_INTERVAL_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * Readers that push the producer's metrics: `otlp` and `console`. `prometheus` is passed over, because the page is
 * there without it; anything else is reported and passed over, as the SDK does.
 */
export async function pushReaders(
  env: Env,
  producer: sdk.MetricProducer,
  onError: (error: unknown) => void,
): Promise<sdk.MetricReader[]> {
  const readers: sdk.MetricReader[] = [];
  for (const name of askedExporters(env, 'METRICS')) {
    if (name === 'otlp') readers.push(periodic(env, await otlpExporter(env, onError), producer));
    else if (name === 'console') readers.push(periodic(env, new sdk.ConsoleMetricExporter(), producer));
    else if (name !== 'prometheus')
      onError(unknownExporter('METRICS', name, ['otlp', 'console', 'prometheus', 'none']));
  }
  return readers;
}

function periodic(
  env: Env,
  exporter: sdk.PushMetricExporter,
  producer: sdk.MetricProducer,
): sdk.MetricReader {
  const exportIntervalMillis = positive(env, 'OTEL_METRIC_EXPORT_INTERVAL') ?? DEFAULT_INTERVAL_MS;
  const timeout = positive(env, 'OTEL_METRIC_EXPORT_TIMEOUT') ?? DEFAULT_TIMEOUT_MS;
  return new sdk.PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis,
    exportTimeoutMillis: Math.min(timeout, exportIntervalMillis),
    metricProducers: [producer],
  });
}

/** Loaded only when asked for: gRPC alone takes longer to load than the rest of the telemetry. */
async function otlpExporter(env: Env, onError: (error: unknown) => void): Promise<sdk.PushMetricExporter> {
  switch (otlpProtocol(env, 'METRICS', onError)) {
    case 'grpc':
      return new (await import('@opentelemetry/exporter-metrics-otlp-grpc')).OTLPMetricExporter();
    case 'http/json':
      return new (await import('@opentelemetry/exporter-metrics-otlp-http')).OTLPMetricExporter();
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-metrics-otlp-proto')).OTLPMetricExporter();
  }
}
