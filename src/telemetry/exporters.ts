/** What the OTEL_* variables ask to be sent over the network. Without any of them: nothing. */
import { core, metrics as sdk } from '@opentelemetry/sdk-node';

const DEFAULT_INTERVAL_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 30_000;

type Signal = 'METRICS' | 'TRACES' | 'LOGS';

/**
 * The exporters of a signal: OTEL_<signal>_EXPORTER, and `otlp` when only an OTLP endpoint is set. The SDK's own
 * default is `otlp` to localhost in any case, which a node that nobody asked to export must not do.
 */
export function askedExporters(signal: Signal): string[] {
  const named = core.getStringListFromEnv(`OTEL_${signal}_EXPORTER`) ?? [];
  if (named.length > 0) return named.includes('none') ? [] : [...new Set(named)];
  const endpoint =
    core.getStringFromEnv('OTEL_EXPORTER_OTLP_ENDPOINT') ??
    core.getStringFromEnv(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`);
  return endpoint === undefined ? [] : ['otlp'];
}

/**
 * Readers that push the producer's metrics: `otlp` and `console`. `prometheus` is passed over, because the page is
 * there without it; anything else is reported and passed over, as the SDK does.
 */
export async function pushReaders(
  producer: sdk.MetricProducer,
  onError: (error: unknown) => void,
): Promise<sdk.MetricReader[]> {
  const readers: sdk.MetricReader[] = [];
  for (const name of askedExporters('METRICS')) {
    if (name === 'otlp') readers.push(periodic(await otlpExporter(onError), producer));
    else if (name === 'console') readers.push(periodic(new sdk.ConsoleMetricExporter(), producer));
    else if (name !== 'prometheus') {
      onError(
        new Error(`OTEL_METRICS_EXPORTER names ${name}, which is none of otlp, console, prometheus, none.`),
      );
    }
  }
  return readers;
}

function periodic(exporter: sdk.PushMetricExporter, producer: sdk.MetricProducer): sdk.MetricReader {
  const exportIntervalMillis = positive('OTEL_METRIC_EXPORT_INTERVAL') ?? DEFAULT_INTERVAL_MS;
  const timeout = positive('OTEL_METRIC_EXPORT_TIMEOUT') ?? DEFAULT_TIMEOUT_MS;
  return new sdk.PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis,
    exportTimeoutMillis: Math.min(timeout, exportIntervalMillis),
    metricProducers: [producer],
  });
}

function positive(variable: string): number | undefined {
  const value = core.getNumberFromEnv(variable);
  return value !== undefined && value > 0 ? value : undefined;
}

/** Loaded only when asked for: gRPC alone takes longer to load than the rest of the telemetry. */
async function otlpExporter(onError: (error: unknown) => void): Promise<sdk.PushMetricExporter> {
  const protocol =
    core.getStringFromEnv('OTEL_EXPORTER_OTLP_METRICS_PROTOCOL') ??
    core.getStringFromEnv('OTEL_EXPORTER_OTLP_PROTOCOL') ??
    'http/protobuf';
  switch (protocol) {
    case 'grpc':
      return new (await import('@opentelemetry/exporter-metrics-otlp-grpc')).OTLPMetricExporter();
    case 'http/json':
      return new (await import('@opentelemetry/exporter-metrics-otlp-http')).OTLPMetricExporter();
    case 'http/protobuf':
      break;
    default:
      onError(
        new Error(`OTEL_EXPORTER_OTLP_PROTOCOL is ${protocol}, which is unknown; http/protobuf is used.`),
      );
  }
  return new (await import('@opentelemetry/exporter-metrics-otlp-proto')).OTLPMetricExporter();
}
