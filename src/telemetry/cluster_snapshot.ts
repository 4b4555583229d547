/** What OpenTelemetry sees of the node's instruments. Apart, because OpenTelemetry's packages take long to load. */
import { type HrTime, ValueType } from '@opentelemetry/api';
import { emptyResource } from '@opentelemetry/resources';
import * as sdk from '@opentelemetry/sdk-metrics';
import { attributesKey, OVERFLOW } from './attributes.js';
import { type Buckets, type CurrentValue, isFull, OVERFLOW_KEY, type State } from './cluster_state.js';
import type { Exemplar } from './delta.js';

/** Of all that was reported: `created` is when the first process began to, and `end` is now. */
export function collectionResult(
  instruments: Iterable<State>,
  { created, end, limit }: { created: HrTime; end: HrTime; limit: number },
): sdk.CollectionResult {
  const metrics = [...instruments].map((state) => snapshot(state, created, end, limit));
  return {
    resourceMetrics: {
      resource: emptyResource(),
      scopeMetrics: [
        { scope: { name: 'hearth' }, metrics: metrics.filter((it) => it.dataPoints.length > 0) },
      ],
    },
    errors: [],
  };
}

/** The instrument as cumulative OpenTelemetry data; shares nothing with the state, which goes on changing. */
function snapshot(state: State, created: HrTime, end: HrTime, limit: number): sdk.MetricData {
  const { name, description, unit } = state.definition;
  const base = {
    descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: sdk.AggregationTemporality.CUMULATIVE,
  };
  switch (state.kind) {
    case 'counter':
      return {
        ...base,
        dataPointType: sdk.DataPointType.SUM,
        isMonotonic: true,
        dataPoints: [...state.series.values()].map(({ attributes, start, value }) => ({
          attributes,
          startTime: start,
          endTime: end,
          value: value.sum,
        })),
      };
    case 'histogram': {
      const boundaries = [...state.definition.bounds];
      return {
        ...base,
        dataPointType: sdk.DataPointType.HISTOGRAM,
        dataPoints: [...state.series.values()].map(({ attributes, start, value }) => ({
          attributes,
          startTime: start,
          endTime: end,
          value: histogramValue(boundaries, value),
        })),
      };
    }
    case 'gauge': {
      const dataPoints = currentValues(state.sources, state.definition.perProcess === true, limit).map(
        ({ attributes, value }) => ({ attributes, startTime: created, endTime: end, value }),
      );
      // What can be summed over processes is an UpDownCounter in OpenTelemetry's words, a non-monotonic sum.
      return state.definition.perProcess === true
        ? { ...base, dataPointType: sdk.DataPointType.GAUGE, dataPoints }
        : { ...base, dataPointType: sdk.DataPointType.SUM, isMonotonic: false, dataPoints };
    }
  }
}

/** A histogram with its exemplars, which OpenTelemetry's own type has no place for. */
export interface HistogramValue extends sdk.Histogram {
  exemplars: ReadonlyMap<number, Exemplar>;
}

function histogramValue(
  boundaries: number[],
  { counts, count, sum, exemplars }: Buckets,
): sdk.Histogram | HistogramValue {
  const value = { buckets: { boundaries, counts: [...counts] }, count, sum };
  return exemplars === null ? value : { ...value, exemplars };
}

/** The gauges of all processes as one set: summed, or told apart by the attribute `hearth.process`. */
function currentValues(
  sources: ReadonlyMap<string, ReadonlyMap<string, CurrentValue>>,
  perProcess: boolean,
  limit: number,
): CurrentValue[] {
  const merged = new Map<string, CurrentValue>();
  for (const [source, values] of sources) {
    for (const { attributes, value } of values.values()) {
      const own = perProcess ? { ...attributes, 'hearth.process': source } : attributes;
      const ownKey = attributesKey(own);
      const beyond = !merged.has(ownKey) && isFull(merged, limit);
      const key = beyond ? OVERFLOW_KEY : ownKey;
      const before = merged.get(key);
      merged.set(key, { attributes: beyond ? OVERFLOW : own, value: (before?.value ?? 0) + value });
    }
  }
  return [...merged.values()];
}
