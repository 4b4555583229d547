/** The metrics page as OpenMetrics 1.0, which has exemplars: the Prometheus page with what that format has otherwise. */
import * as sdk from '@opentelemetry/sdk-metrics';
import type { HistogramValue } from './cluster_snapshot.js';
import type { Exemplar } from './delta.js';
import type { PageFormat } from './metrics_listener.js';
import { prometheusPage } from './prometheus_page.js';

export function metricsPage(collected: sdk.ResourceMetrics, format: PageFormat): string {
  return format === 'prometheus' ? prometheusPage(collected) : openMetricsPage(collected);
}

function openMetricsPage(collected: sdk.ResourceMetrics): string {
  // The serializer writes buckets in the order in which they are collected.
  const exemplars = bucketExemplars(collected);
  let bucket = 0;
  const lines: string[] = [];
  for (const line of prometheusPage(collected).split('\n')) {
    if (line.startsWith('#')) {
      // A counter's name is that of its family, and the sample's ends in _total; other comments are not allowed.
      if (/^# (?:HELP|TYPE) /.test(line)) lines.push(line.replace(/^(# (?:HELP|TYPE) \S+?)_total /, '$1 '));
    } else if (line !== '') {
      const exemplar = /^\w+_bucket\{/.test(line) ? exemplars[bucket++] : undefined;
      lines.push(exemplar === undefined ? line : line + show(exemplar));
    }
  }
  return `${lines.join('\n')}\n# EOF\n`;
}

/** Of every bucket of every histogram, in their order. */
function bucketExemplars(collected: sdk.ResourceMetrics): (Exemplar | undefined)[] {
  const found: (Exemplar | undefined)[] = [];
  for (const { metrics } of collected.scopeMetrics) {
    for (const metric of metrics) {
      if (metric.dataPointType !== sdk.DataPointType.HISTOGRAM) continue;
      for (const { value } of metric.dataPoints)
        for (let bucket = 0; bucket < value.buckets.counts.length; bucket++)
          found.push(hasExemplars(value) ? value.exemplars.get(bucket) : undefined);
    }
  }
  return found;
}

function hasExemplars(value: sdk.Histogram): value is HistogramValue {
  return 'exemplars' in value;
}

function show({ value, time, traceId, spanId }: Exemplar): string {
  return ` # {trace_id="${traceId}",span_id="${spanId}"} ${value} ${(time / 1000).toFixed(3)}`;
}
