/** OpenTelemetry data as a Prometheus page, with the names that OpenTelemetry's rules for Prometheus give it. */
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import * as sdk from '@opentelemetry/sdk-metrics';

/** UCUM units of Hearth and of the conventions, in Prometheus' words; what stands in braces is no unit. */
const UNIT_WORDS: Readonly<Record<string, string>> = {
  s: 'seconds',
  ms: 'milliseconds',
  By: 'bytes',
  '%': 'percent',
};

/**
 * The page: `target_info` with the resource, then every metric. The scope is left out of the labels: it is the same
 * word on every line.
 */
export function prometheusPage(collected: sdk.ResourceMetrics): string {
  const scopeMetrics = collected.scopeMetrics.map((scope) => ({
    ...scope,
    metrics: scope.metrics.map(withUnitInName),
  }));
  const page = new PrometheusSerializer('', false, undefined, false, true).serialize({
    ...collected,
    scopeMetrics,
  });
  // The serializer leaves the last line open when there is no metric yet; the format wants it ended.
  return page.endsWith('\n') ? page : `${page}\n`;
}

/**
 * The serializer adds `_total` but no units, which Prometheus wants in the name.
 * Source: OpenTelemetry, "Prometheus and OpenMetrics Compatibility", metric metadata.
 */
function withUnitInName(metric: sdk.MetricData): sdk.MetricData {
  const { name, unit } = metric.descriptor;
  const word = unit === '1' && isGauge(metric) ? 'ratio' : UNIT_WORDS[unit];
  const suffixed =
    word === undefined || new RegExp(`(^|[^a-z])${word}$`).test(name) ? name : `${name}_${word}`;
  return { ...metric, descriptor: { ...metric.descriptor, name: suffixed, unit: '' } };
}

function isGauge(metric: sdk.MetricData): boolean {
  return (
    metric.dataPointType === sdk.DataPointType.GAUGE ||
    (metric.dataPointType === sdk.DataPointType.SUM && !metric.isMonotonic)
  );
}
