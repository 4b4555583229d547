import type { metrics as sdk } from '@opentelemetry/sdk-node';
import { describe, expect, it } from 'vitest';
import { type ClusterMetrics, createClusterMetrics } from './cluster_metrics.js';
import { createRecorder } from './recorder.js';

const calls = { name: 'calls', description: 'Calls', unit: '{call}' };
const busy = { name: 'busy', description: 'Busy', unit: '{process}' };
const delay = { name: 'delay', description: 'Delay', unit: 's', perProcess: true };
const wait = { name: 'wait', description: 'Wait', unit: 's', bounds: [0.1, 1] };

describe('the metrics of a cluster', () => {
  it('sums the counters of two processes, as cumulative monotonic sums', async () => {
    const [one, two, metrics] = [processOf(), processOf(), createClusterMetrics()];
    one.calls.with({ f: 'a' }).add(2);
    two.calls.with({ f: 'a' }).add(3);
    two.calls.with({ f: 'b' }).add(1);
    metrics.absorb('router-1', one.drain());
    metrics.absorb('router-2', two.drain());
    one.calls.with({ f: 'a' }).add(10);
    metrics.absorb('router-1', one.drain());

    const found = await metric(metrics, 'calls');
    expect(found).toMatchObject({ aggregationTemporality: 1, dataPointType: 3, isMonotonic: true });
    expect(found?.descriptor).toMatchObject({ name: 'calls', description: 'Calls', unit: '{call}' });
    expect(await values(metrics, 'calls')).toEqual([
      [{ f: 'a' }, 15],
      [{ f: 'b' }, 1],
    ]);
  });

  it('merges histograms bucket by bucket', async () => {
    const [one, two, metrics] = [processOf(), processOf(), createClusterMetrics()];
    one.wait.with({}).record(0.1);
    one.wait.with({}).record(0.5);
    two.wait.with({}).record(5);
    two.wait.with({}).record(0.5);
    metrics.absorb('router-1', one.drain());
    metrics.absorb('router-2', two.drain());
    expect(await values(metrics, 'wait')).toEqual([
      [{}, { buckets: { boundaries: [0.1, 1], counts: [1, 2, 1] }, count: 4, sum: 6.1 }],
    ]);
  });

  it('sums gauges over processes, and keeps those apart that belong to a process', async () => {
    const [one, two, metrics] = [processOf(), processOf(), createClusterMetrics()];
    one.busy.with({ state: 'live' }).set(2);
    two.busy.with({ state: 'live' }).set(3);
    one.delay.with({}).set(0.01);
    two.delay.with({}).set(0.02);
    metrics.absorb('router-1', one.drain());
    metrics.absorb('router-2', two.drain());
    one.busy.with({ state: 'live' }).set(1);
    metrics.absorb('router-1', one.drain());
    expect(await values(metrics, 'busy')).toEqual([[{ state: 'live' }, 4]]);
    expect(await metric(metrics, 'busy')).toMatchObject({ dataPointType: 3, isMonotonic: false });
    expect(await values(metrics, 'delay')).toEqual([
      [{ 'hearth.process': 'router-1' }, 0.01],
      [{ 'hearth.process': 'router-2' }, 0.02],
    ]);
    expect(await metric(metrics, 'delay')).toMatchObject({ dataPointType: 2 });
  });

  it('forgets the gauges of a process that died, and never lets a count fall', async () => {
    const metrics = createClusterMetrics();
    const first = processOf();
    first.calls.with({}).add(5);
    first.wait.with({}).record(0.5);
    first.busy.with({}).set(2);
    metrics.absorb('router-1', first.drain());
    metrics.forget('router-1');
    expect(await values(metrics, 'calls')).toEqual([[{}, 5]]);
    expect(await metric(metrics, 'busy')).toBeUndefined();

    const second = processOf();
    second.calls.with({}).add(1);
    second.wait.with({}).record(0.5);
    second.busy.with({}).set(1);
    metrics.absorb('router-1', second.drain());
    expect(await values(metrics, 'calls')).toEqual([[{}, 6]]);
    expect(await values(metrics, 'wait')).toMatchObject([[{}, { count: 2, sum: 1 }]]);
    expect(await values(metrics, 'busy')).toEqual([[{}, 1]]);
  });

  it('starts a series where its first report began, and ends every point at the collection', async () => {
    let now = 1_700_000_000_000;
    const metrics = createClusterMetrics({ now: () => now });
    const one = processOf();
    one.calls.with({ f: 'a' }).add(1);
    now += 1500;
    metrics.absorb('router-1', one.drain());
    one.calls.with({ f: 'b' }).add(1);
    now += 1000;
    metrics.absorb('router-1', one.drain());
    now += 250;
    const times = async () =>
      (await metric(metrics, 'calls'))?.dataPoints.map((p) => [p.attributes, p.startTime, p.endTime]);
    expect(await times()).toEqual([
      [{ f: 'a' }, [1_700_000_000, 0], [1_700_000_002, 750_000_000]],
      [{ f: 'b' }, [1_700_000_001, 500_000_000], [1_700_000_002, 750_000_000]],
    ]);

    metrics.release({ f: 'a' });
    one.calls.with({ f: 'a' }).add(1);
    now += 1000;
    metrics.absorb('router-1', one.drain());
    expect((await times())?.[1]).toEqual([
      { f: 'a' },
      [1_700_000_002, 750_000_000],
      [1_700_000_003, 750_000_000],
    ]);
  });

  it('drops the series of a deleted function from every instrument', async () => {
    const [one, metrics] = [processOf(), createClusterMetrics()];
    for (const f of ['a', 'b']) {
      one.calls.with({ f, x: 1 }).add(1);
      one.wait.with({ f }).record(1);
      one.busy.with({ f }).set(1);
    }
    metrics.absorb('router-1', one.drain());
    metrics.release({ f: 'a' });
    expect(await values(metrics, 'calls')).toEqual([[{ f: 'b', x: 1 }, 1]]);
    expect(await values(metrics, 'wait')).toHaveLength(1);
    expect(await values(metrics, 'busy')).toEqual([[{ f: 'b' }, 1]]);
  });

  it('caps the series over all processes, and loses no count to the cap', async () => {
    const metrics = createClusterMetrics({ maxSeriesPerInstrument: 4 });
    for (const source of ['router-1', 'router-2']) {
      const one = processOf(3);
      for (const f of ['a', 'b', 'c']) {
        one.calls.with({ f: source + f }).add(1);
        one.busy.with({ f: source + f }).set(1);
        one.wait.with({ f: source + f }).record(1);
      }
      metrics.absorb(source, one.drain());
    }
    const overflow = { 'otel.metric.overflow': true };
    for (const name of ['calls', 'busy']) {
      const found = await values(metrics, name);
      expect(found).toHaveLength(4);
      expect(new Set(found.map(([attributes]) => JSON.stringify(attributes))).size).toBe(4);
      expect(found.reduce((sum, [, value]) => sum + Number(value), 0)).toBe(6);
      expect(found).toContainEqual([overflow, 3]);
    }
    expect(await values(metrics, 'wait')).toContainEqual([
      overflow,
      expect.objectContaining({ count: 3, sum: 3 }),
    ]);
  });

  it('gives each collection a copy that later reports do not change', async () => {
    const [one, metrics] = [processOf(), createClusterMetrics()];
    one.wait.with({}).record(1);
    metrics.absorb('router-1', one.drain());
    const before = await values(metrics, 'wait');
    one.wait.with({}).record(1);
    metrics.absorb('router-1', one.drain());
    expect(before).toMatchObject([[{}, { count: 1, buckets: { counts: [0, 1, 0] } }]]);
  });

  it('refuses an instrument that is two things', () => {
    const metrics = createClusterMetrics();
    metrics.absorb('router-1', [{ kind: 'counter', definition: calls, points: [] }]);
    expect(() => metrics.absorb('router-2', [{ kind: 'gauge', definition: calls, points: [] }])).toThrow(
      'router-2 reports calls as a gauge, but it is a counter',
    );
  });
});

function processOf(maxSeriesPerInstrument = 2000) {
  const recorder = createRecorder({ maxSeriesPerInstrument });
  return {
    calls: recorder.counter(calls),
    busy: recorder.gauge(busy),
    delay: recorder.gauge(delay),
    wait: recorder.histogram(wait),
    drain: recorder.drain,
  };
}

async function metric(metrics: ClusterMetrics, name: string): Promise<sdk.MetricData | undefined> {
  const { resourceMetrics } = await metrics.collect();
  const found = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  return found.find(({ descriptor }) => descriptor.name === name);
}

async function values(metrics: ClusterMetrics, name: string): Promise<Array<[unknown, unknown]>> {
  return (await metric(metrics, name))?.dataPoints.map(({ attributes, value }) => [attributes, value]) ?? [];
}
