import { describe, expect, it } from 'vitest';
import { createRecorder, type Delta } from './recorder.js';

const calls = { name: 'calls', description: 'Calls', unit: '{call}' };
const level = { name: 'level', description: 'Level', unit: '1' };
const wait = { name: 'wait', description: 'Wait', unit: 's', bounds: [0.1, 1, 10] };

describe('a recorder', () => {
  it('drains a counter as what was added since the last drain', () => {
    const recorder = createRecorder();
    const series = recorder.counter(calls).with({ f: 'a' });
    series.add(2);
    series.add(3);
    expect(recorder.drain()).toEqual([
      { kind: 'counter', definition: calls, points: [{ attributes: { f: 'a' }, value: 5 }] },
    ]);
    expect(recorder.drain()).toEqual([]);
    series.add(1);
    expect(pointsOf(recorder.drain())).toEqual([{ attributes: { f: 'a' }, value: 1 }]);
  });

  it('tells of a new series once even when it is zero, so that a rate has a beginning', () => {
    const recorder = createRecorder();
    recorder.counter(calls).with({});
    expect(pointsOf(recorder.drain())).toEqual([{ attributes: {}, value: 0 }]);
    expect(recorder.drain()).toEqual([]);
  });

  it('drains a gauge as it is now, and only when it changed', () => {
    const recorder = createRecorder();
    const series = recorder.gauge(level).with({});
    series.set(7);
    series.add(-2);
    expect(pointsOf(recorder.drain())).toEqual([{ attributes: {}, value: 5 }]);
    series.set(5);
    expect(recorder.drain()).toEqual([]);
    series.set(0);
    expect(pointsOf(recorder.drain())).toEqual([{ attributes: {}, value: 0 }]);
  });

  it('counts a value that equals a bound in the bucket below it', () => {
    const recorder = createRecorder();
    const series = recorder.histogram(wait).with({});
    for (const value of [0, 0.1, 0.2, 1, 5, 10, 11, 1e9]) series.record(value);
    expect(pointsOf(recorder.drain())).toEqual([
      { attributes: {}, count: 8, sum: 1_000_000_027.3, buckets: [2, 2, 2, 2] },
    ]);
    series.record(0.5);
    expect(pointsOf(recorder.drain())).toEqual([
      { attributes: {}, count: 1, sum: 0.5, buckets: [0, 1, 0, 0] },
    ]);
  });

  it('ignores what no counter, gauge or histogram may take', () => {
    const recorder = createRecorder();
    const counter = recorder.counter(calls).with({});
    const gauge = recorder.gauge(level).with({});
    const histogram = recorder.histogram(wait).with({});
    recorder.drain();
    for (const bad of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      counter.add(bad);
      histogram.record(bad);
    }
    gauge.set(Number.NaN);
    gauge.add(Number.POSITIVE_INFINITY);
    expect(recorder.drain()).toEqual([]);
  });

  it('resolves one series per attribute set, whatever the order of its names, and copies the set', () => {
    const recorder = createRecorder();
    const counter = recorder.counter(calls);
    const attributes = { a: 1, b: 'x' };
    const series = counter.with(attributes);
    expect(counter.with({ b: 'x', a: 1 })).toBe(series);
    expect(counter.with({ b: 'x', a: '1' })).not.toBe(series);
    attributes.b = 'changed';
    expect(pointsOf(recorder.drain())[0]?.attributes).toEqual({ a: 1, b: 'x' });
  });

  it('folds what is beyond the cap into the overflow series, and never exceeds it', () => {
    const recorder = createRecorder({ maxSeriesPerInstrument: 3 });
    const counter = recorder.counter(calls);
    for (const f of ['a', 'b', 'c', 'd', 'c', 'a']) counter.with({ f }).add(1);
    expect(pointsOf(recorder.drain())).toEqual([
      { attributes: { f: 'a' }, value: 2 },
      { attributes: { f: 'b' }, value: 1 },
      { attributes: { 'otel.metric.overflow': true }, value: 3 },
    ]);
  });

  it('drops released series after one last drain, and gives their room to others', () => {
    const recorder = createRecorder({ maxSeriesPerInstrument: 3 });
    const counter = recorder.counter(calls);
    const gauge = recorder.gauge(level);
    counter.with({ t: 'one', f: 'a' }).add(4);
    counter.with({ t: 'two', f: 'a' }).add(1);
    gauge.with({ t: 'one', f: 'a' }).set(9);
    recorder.drain();
    counter.with({ t: 'one', f: 'a' }).add(2);
    recorder.release({ t: 'one' });
    expect(recorder.drain()).toEqual([
      { kind: 'counter', definition: calls, points: [{ attributes: { t: 'one', f: 'a' }, value: 2 }] },
      { kind: 'gauge', definition: level, points: [{ attributes: { t: 'one', f: 'a' }, value: null }] },
    ]);
    counter.with({ t: 'three' }).add(1);
    expect(pointsOf(recorder.drain())).toEqual([{ attributes: { t: 'three' }, value: 1 }]);
  });

  it('stays within the cap when series are released and never drained', () => {
    const recorder = createRecorder({ maxSeriesPerInstrument: 10 });
    const counter = recorder.counter(calls);
    for (let i = 0; i < 1000; i++) {
      counter.with({ i }).add(1);
      recorder.release({ i });
    }
    const points = pointsOf(recorder.drain());
    expect(points).toHaveLength(10);
    expect(points.at(-1)).toEqual({ attributes: { 'otel.metric.overflow': true }, value: 991 });
  });

  it('drains the last exemplar of each bucket, once', () => {
    const recorder = createRecorder();
    const series = recorder.histogram(wait).with({ f: 'a' });
    const exemplar = (value: number, traceId: string) => ({ value, time: 1, traceId, spanId: 's' });
    series.record(0.5, exemplar(0.5, 'first'));
    series.record(0.6, exemplar(0.6, 'second'));
    series.record(0.7);
    series.record(1e9, exemplar(1e9, 'large'));
    const [point] = pointsOf(recorder.drain());
    const bucket = (value: number) =>
      [...wait.bounds, Number.POSITIVE_INFINITY].findIndex((le) => value <= le);
    expect(point).toMatchObject({
      count: 4,
      exemplars: [
        [bucket(0.6), exemplar(0.6, 'second')],
        [bucket(1e9), exemplar(1e9, 'large')],
      ],
    });
    series.record(0.5);
    expect(pointsOf(recorder.drain())[0]).not.toHaveProperty('exemplars');
  });

  it('drains data that survives JSON and structured cloning', () => {
    const recorder = createRecorder();
    recorder.counter(calls).with({ f: 'a' }).add(1.5);
    recorder.histogram(wait).with({ f: 'a' }).record(0.3);
    recorder.gauge(level).with({}).set(-1);
    const deltas = recorder.drain();
    expect(JSON.parse(JSON.stringify(deltas))).toEqual(deltas);
    expect(structuredClone(deltas)).toEqual(deltas);
  });

  it('refuses a name twice and bounds that do not ascend', () => {
    const recorder = createRecorder();
    recorder.counter(calls);
    expect(() => recorder.gauge(calls)).toThrow('calls is defined twice');
    expect(() => recorder.histogram({ ...wait, bounds: [1, 1] })).toThrow('do not ascend');
  });
});

function pointsOf(deltas: Delta[]) {
  return deltas.flatMap((delta): Delta['points'][number][] => delta.points);
}
