/** The metrics page alone, as the SDK would make it when no OTEL_* variable is set, without the SDK. */
import { detectResources, envDetector, hostDetector } from '@opentelemetry/resources';
import type { MetricProducer } from '@opentelemetry/sdk-metrics';
import type { Collector, TelemetryOptions } from './main.js';
import { metricsPage } from './openmetrics_page.js';
import { nodeResource } from './resource.js';

export function startPlain(options: TelemetryOptions, producer: MetricProducer): Collector {
  // What the SDK would detect with the same settings (sdk.ts).
  const resource = nodeResource(options.env, options).merge(
    detectResources({ detectors: [envDetector, hostDetector] }),
  );
  return {
    async collect() {
      const { resourceMetrics, errors } = await producer.collect();
      for (const error of errors) options.onError(error);
      await resource.waitForAsyncAttributes?.();
      return { ...resourceMetrics, resource };
    },
    page: metricsPage,
    stop: async () => {},
  };
}
