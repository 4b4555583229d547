/** OpenTelemetry's SDK: the exporters that OTEL_* variables ask for, and the points of the metrics page. */
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
import { pushReaders } from './exporters.js';
import { withinMs } from './fresh_metrics.js';
import type { Collector, TelemetryOptions } from './main.js';
import { metricsPage } from './openmetrics_page.js';
import { nodeResource } from './resource.js';

/** How long stop() lets the exporters send what they have, in ms. */
const SHUTDOWN_MS = 5000;

export async function startSdk(options: TelemetryOptions, producer: sdk.MetricProducer): Promise<Collector> {
  const { onError } = options;
  const prometheus = new PrometheusExporter({ preventServerStart: true, metricProducers: [producer] });
  const pushing = await pushReaders(options.env, producer, onError);

  const restoreErrors = reportErrors(onError);
  const node = new NodeSDK(
    configuration(options, options.port === 'off' ? pushing : [prometheus, ...pushing]),
  );
  node.start();

  return {
    async collect() {
      const { resourceMetrics, errors } = await prometheus.collect();
      for (const error of errors) onError(error);
      await resourceMetrics.resource.waitForAsyncAttributes?.();
      return resourceMetrics;
    },
    page: metricsPage,
    async stop() {
      const finished = await withinMs(node.shutdown().catch(onError), SHUTDOWN_MS);
      if (!finished) onError(new Error(`The telemetry exporters did not finish within ${SHUTDOWN_MS} ms.`));
      for (const registry of [globalMetrics, trace, context, propagation]) registry.disable();
      restoreErrors();
    },
  };
}

function configuration(options: TelemetryOptions, metricReaders: sdk.IMetricReader[]) {
  // The SDK's own choice adds the command line, which need not be on a page that anybody on the network may read.
  const chosen = core.getStringFromEnv('OTEL_NODE_RESOURCE_DETECTORS') !== undefined;
  return {
    resource: nodeResource(options.env, options),
    metricReaders,
    ...(chosen ? {} : { resourceDetectors: [resources.envDetector, resources.hostDetector] }),
    // Empty lists keep the SDK from its default, which is OTLP to localhost. Spans and logs have exporters of their own in
    // every process (spans.ts, logs.ts).
    spanProcessors: [],
    logRecordProcessors: [],
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
