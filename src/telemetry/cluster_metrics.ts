/** The metrics of the whole node, in the primary: what every process reported, as cumulative OpenTelemetry data. */
import type { HrTime } from '@opentelemetry/api';
import type * as sdk from '@opentelemetry/sdk-metrics';
import {
  type Attributes,
  attributesKey,
  DEFAULT_MAX_SERIES,
  includesAttributes,
  OVERFLOW,
  type Part,
} from './attributes.js';
import {
  type Buckets,
  type CurrentValue,
  type Growing,
  hrTime,
  isFull,
  OVERFLOW_KEY,
  type State,
} from './cluster_state.js';
import type { CounterPoint, Delta, GaugePoint, HistogramDefinition, HistogramPoint } from './delta.js';

/** A `MetricProducer` that any OpenTelemetry metric reader can be given. Always cumulative. */
export interface ClusterMetrics extends sdk.MetricProducer {
  /**
   * Adds what one process drained. `source` names the process's place on the node (`supervisor`, `router-1`) and is
   * the attribute `hearth.process` of per-process gauges, so it should not change when the process is replaced.
   */
  absorb(source: string, deltas: readonly Delta[]): void;
  /**
   * The process is gone: its gauges vanish, its counts stay. Call it when no more of its messages can arrive (a cluster
   * worker's `disconnect`), and before its successor reports.
   */
  forget(source: string): void;
  /** Drops the series whose attributes include these, or pass the test; one that is reported again starts from zero. */
  release(part: Part): void;
}

export interface ClusterMetricsOptions {
  /** Series per instrument over all processes, the overflow series among them; at least 2, default 2000. */
  maxSeriesPerInstrument?: number;
  /** Unix milliseconds; must not go back. */
  now?: () => number;
}

export function createClusterMetrics(options: ClusterMetricsOptions = {}): ClusterMetrics {
  const limit = options.maxSeriesPerInstrument ?? DEFAULT_MAX_SERIES;
  const now = options.now ?? (() => performance.timeOrigin + performance.now());
  const created = now();
  const instruments = new Map<string, State>();
  /** When each process last reported: what it tells next happened after that, and so a new series starts there. */
  const reported = new Map<string, number>();
  let released = created;

  function stateOf(delta: Delta): State {
    let state = instruments.get(delta.definition.name);
    if (state === undefined) {
      state =
        delta.kind === 'counter'
          ? { kind: delta.kind, definition: delta.definition, series: new Map() }
          : delta.kind === 'histogram'
            ? { kind: delta.kind, definition: delta.definition, series: new Map() }
            : { kind: delta.kind, definition: delta.definition, sources: new Map() };
      instruments.set(delta.definition.name, state);
    }
    return state;
  }

  return {
    absorb(source, deltas) {
      const start = hrTime(Math.max(reported.get(source) ?? created, released));
      for (const delta of deltas) {
        const state = stateOf(delta);
        if (state.kind === 'counter' && delta.kind === 'counter') {
          addCounts(state.series, delta.points, limit, start);
        } else if (state.kind === 'histogram' && delta.kind === 'histogram') {
          addBuckets(state, delta.points, limit, start);
        } else if (state.kind === 'gauge' && delta.kind === 'gauge') {
          setGauges(state.sources, source, delta.points, limit);
        } else {
          throw new Error(
            `${source} reports ${delta.definition.name} as a ${delta.kind}, but it is a ${state.kind}.`,
          );
        }
      }
      reported.set(source, now());
    },

    forget(source) {
      reported.delete(source);
      for (const state of instruments.values()) {
        if (state.kind === 'gauge') state.sources.delete(source);
      }
    },

    release(part) {
      released = now();
      for (const state of instruments.values()) {
        if (state.kind !== 'gauge') dropIncluding(state.series, part);
        else for (const values of state.sources.values()) dropIncluding(values, part);
      }
    },

    async collect() {
      const { collectionResult } = await import('./cluster_snapshot.js');
      return collectionResult(instruments.values(), { created: hrTime(created), end: hrTime(now()), limit });
    },
  };
}

/** The series for these attributes, or the overflow series when the cap is reached. */
function growingSeries<Value>(
  series: Map<string, Growing<Value>>,
  attributes: Attributes,
  limit: number,
  make: () => Growing<Value>,
): Growing<Value> {
  let key = attributesKey(attributes);
  const known = series.get(key);
  if (known !== undefined) return known;
  if (isFull(series, limit)) key = OVERFLOW_KEY;
  const overflow = series.get(key);
  if (overflow !== undefined) return overflow;
  const made = make();
  if (key === OVERFLOW_KEY) made.attributes = OVERFLOW;
  series.set(key, made);
  return made;
}

function addCounts(
  series: Map<string, Growing<{ sum: number }>>,
  points: readonly CounterPoint[],
  limit: number,
  start: HrTime,
): void {
  for (const { attributes, value } of points) {
    const make = () => ({ attributes, start, value: { sum: 0 } });
    growingSeries(series, attributes, limit, make).value.sum += value;
  }
}

function addBuckets(
  state: { definition: HistogramDefinition; series: Map<string, Growing<Buckets>> },
  points: readonly HistogramPoint[],
  limit: number,
  start: HrTime,
): void {
  const length = state.definition.bounds.length + 1;
  for (const { attributes, count, sum, buckets, exemplars } of points) {
    if (buckets.length !== length) {
      throw new Error(`${state.definition.name} has ${length} buckets, but ${buckets.length} were reported.`);
    }
    const make = () => ({
      attributes,
      start,
      value: { count: 0, sum: 0, counts: new Array<number>(length).fill(0), exemplars: null },
    });
    const { value } = growingSeries(state.series, attributes, limit, make);
    value.count += count;
    value.sum += sum;
    value.counts = value.counts.map((n, i) => n + (buckets[i] ?? 0));
    if (exemplars !== undefined) value.exemplars = new Map([...(value.exemplars ?? []), ...exemplars]);
  }
}

function setGauges(
  sources: Map<string, Map<string, CurrentValue>>,
  source: string,
  points: readonly GaugePoint[],
  limit: number,
): void {
  let values = sources.get(source);
  if (values === undefined) {
    values = new Map();
    sources.set(source, values);
  }
  for (const { attributes, value } of points) {
    const key = attributesKey(attributes);
    if (value === null) values.delete(key);
    else if (values.has(key) || !isFull(values, limit)) values.set(key, { attributes, value });
    // A recorder has the same cap, and folds what is beyond it itself.
    else values.set(OVERFLOW_KEY, { attributes: OVERFLOW, value });
  }
}

function dropIncluding(series: Map<string, { attributes: Attributes }>, part: Part): void {
  for (const [key, { attributes }] of series) {
    if (includesAttributes(attributes, part)) series.delete(key);
  }
}
