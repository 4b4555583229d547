/** Starts OpenTelemetry in the primary: the node's metrics page, and the exporters that OTEL_* variables ask for. */
import { hostname } from 'node:os';
import {
  context,
  DiagLogLevel,
  diag,
  metrics as globalMetrics,
  propagation,
  trace,
} from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { core, NodeSDK, resources, type metrics as sdk } from '@opentelemetry/sdk-node';
import type { ClusterMetrics } from './cluster_metrics.js';
import { askedExporters, pushReaders } from './exporters.js';
import { freshMetrics, withinMs } from './fresh_metrics.js';
import { listenForScrapes, type MetricsListener } from './metrics_listener.js';
import { prometheusPage } from './prometheus_page.js';

/** How long stop() lets the exporters send what they have, in ms. */
const SHUTDOWN_MS = 5000;

export interface TelemetryOptions {
  /** Hearth's version: `service.version`. */
  version: string;
  /** Unique per node: `service.instance.id`. */
  instanceId: string;
  host: string;
  /** 0 takes a free one; `off`: no page. */
  port: number | 'off';
  metrics: ClusterMetrics;
  /** Asks the routers for their newest points, before each collection; waited for for at most 1 s. */
  beforeScrape: () => Promise<void>;
  /** What goes wrong while the node runs: a refresh, a collection, an export. Never the caller's concern. */
  onError: (error: unknown) => void;
}

export interface Telemetry {
  /** The page's address, such as `http://127.0.0.1:9464/metrics`; null when there is none. */
  metricsUrl: string | null;
  /** Closes the page, sends what the exporters have (at most 5 s), and unregisters. */
  stop(): Promise<void>;
}

/**
 * Once per process: OpenTelemetry's registry is global. Throws StartError when the port cannot be had.
 * With OTEL_SDK_DISABLED=true nothing starts, not even the page.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { host, port, onError } = options;
  if (core.getBooleanFromEnv('OTEL_SDK_DISABLED')) return { metricsUrl: null, stop: async () => {} };

  const producer = freshMetrics(options.metrics, options.beforeScrape, onError);
  const prometheus =
    port === 'off'
      ? undefined
      : new PrometheusExporter({ preventServerStart: true, metricProducers: [producer] });
  const pushing = await pushReaders(producer, onError);

  const restoreErrors = reportErrors(onError);
  const node = new NodeSDK(
    configuration(options, prometheus === undefined ? pushing : [prometheus, ...pushing]),
  );
  node.start();

  async function stop(listener?: MetricsListener): Promise<void> {
    await listener?.stop();
    const finished = await withinMs(node.shutdown().catch(onError), SHUTDOWN_MS);
    if (!finished) onError(new Error(`The telemetry exporters did not finish within ${SHUTDOWN_MS} ms.`));
    for (const registry of [globalMetrics, trace, context, propagation]) registry.disable();
    restoreErrors();
  }

  if (prometheus === undefined || port === 'off') return { metricsUrl: null, stop };
  try {
    const listener = await listenForScrapes({ host, port, page: () => scrape(prometheus, onError), onError });
    return { metricsUrl: listener.url, stop: () => stop(listener) };
  } catch (error) {
    // StartError: the node does not start, and so nothing of it may go on.
    await stop();
    throw error;
  }
}

async function scrape(reader: PrometheusExporter, onError: (error: unknown) => void): Promise<string> {
  const { resourceMetrics, errors } = await reader.collect();
  for (const error of errors) onError(error);
  await resourceMetrics.resource.waitForAsyncAttributes?.();
  return prometheusPage(resourceMetrics);
}

function configuration(options: TelemetryOptions, metricReaders: sdk.IMetricReader[]) {
  // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are read by the SDK's detector, and win over these.
  const resource = resources.defaultResource().merge(
    resources.resourceFromAttributes({
      'service.name': 'hearth',
      'service.version': options.version,
      'service.instance.id': options.instanceId,
      'host.name': hostname(),
    }),
  );
  // The SDK's own choice adds the command line, which need not be on a page that anybody on the network may read.
  const chosen = core.getStringFromEnv('OTEL_NODE_RESOURCE_DETECTORS') !== undefined;
  return {
    resource,
    metricReaders,
    ...(chosen ? {} : { resourceDetectors: [resources.envDetector, resources.hostDetector] }),
    // An empty list keeps the SDK from its default, which is OTLP to localhost.
    ...(askedExporters('TRACES').length === 0 ? { spanProcessors: [] } : {}),
    ...(askedExporters('LOGS').length === 0 ? { logRecordProcessors: [] } : {}),
  };
}

/** Sends the SDK's own errors to `onError`; a logger that OTEL_LOG_LEVEL asks for replaces the diagnostic part. */
function reportErrors(onError: (error: unknown) => void): () => void {
  const ignore = () => {};
  const error = (message: string, ...rest: unknown[]) =>
    onError(new Error([message, ...rest].map(String).join(' ')));
  diag.setLogger(
    { error, warn: ignore, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true },
  );
  core.setGlobalErrorHandler(onError);
  return () => {
    diag.disable();
    core.setGlobalErrorHandler(core.loggingErrorHandler());
  };
}
