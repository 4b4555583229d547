import { emptyResource } from '@opentelemetry/resources';
import { expect, it } from 'vitest';
import { createClusterMetrics } from './cluster_metrics.js';
import { metricsPage } from './openmetrics_page.js';
import { createRecorder } from './recorder.js';

it('is the page with exemplars in their buckets, the last that any process told of', async () => {
  const metrics = createClusterMetrics();
  const wait = { name: 'wait', description: 'Wait', unit: 's', bounds: [0.1, 1] };
  for (const [source, traceId] of [
    ['router-1', 'a'.repeat(32)],
    ['router-2', 'b'.repeat(32)],
  ] as const) {
    const recorder = createRecorder();
    recorder.counter({ name: 'calls', description: 'Calls', unit: '{call}' }).with({ f: 'x' }).add(1);
    const histogram = recorder.histogram(wait);
    const exemplar = { value: 0.5, time: 1_700_000_000_123, traceId, spanId: 'c'.repeat(16) };
    histogram.with({ f: 'x' }).record(0.01);
    histogram.with({ f: 'x' }).record(0.5, exemplar);
    histogram.with({ f: source }).record(5, { ...exemplar, value: 5 });
    metrics.absorb(source, recorder.drain());
  }
  const { resourceMetrics } = await metrics.collect();
  const collected = { ...resourceMetrics, resource: emptyResource() };
  const shown = (letter: string, value: number) =>
    `# {trace_id="${letter.repeat(32)}",span_id="${'c'.repeat(16)}"} ${value} 1700000000.123`;
  expect(metricsPage(collected, 'openmetrics').split('\n').slice(3)).toEqual([
    '# HELP calls Calls',
    '# TYPE calls counter',
    'calls_total{f="x"} 2',
    '# HELP wait_seconds Wait',
    '# TYPE wait_seconds histogram',
    'wait_seconds_count{f="x"} 4',
    'wait_seconds_sum{f="x"} 1.02',
    'wait_seconds_bucket{f="x",le="0.1"} 2',
    `wait_seconds_bucket{f="x",le="1"} 4 ${shown('b', 0.5)}`,
    'wait_seconds_bucket{f="x",le="+Inf"} 4',
    ...['router-1', 'router-2'].flatMap((source, at) => [
      `wait_seconds_count{f="${source}"} 1`,
      `wait_seconds_sum{f="${source}"} 5`,
      `wait_seconds_bucket{f="${source}",le="0.1"} 0`,
      `wait_seconds_bucket{f="${source}",le="1"} 0`,
      `wait_seconds_bucket{f="${source}",le="+Inf"} 1 ${shown(at === 0 ? 'a' : 'b', 5)}`,
    ]),
    '# EOF',
    '',
  ]);
  expect(metricsPage(collected, 'prometheus')).not.toContain('trace_id');
});
