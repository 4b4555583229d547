/** What the primary keeps of one instrument over all processes, and what OpenTelemetry sees of it. */
import { type HrTime, ValueType } from '@opentelemetry/api';
import * as sdk from '@opentelemetry/sdk-metrics';
import { type Attributes, attributesKey, OVERFLOW } from './attributes.js';
import type { Definition, HistogramDefinition } from './delta.js';

/** A series that only grows, since `start`. */
export interface Growing<Value> {
  attributes: Attributes;
  start: HrTime;
  value: Value;
}

export interface Buckets {
  count: number;
  sum: number;
  counts: number[];
}

/** One instrument, over all processes. */
export type State =
  | { kind: 'counter'; definition: Definition; series: Map<string, Growing<{ sum: number }>> }
  | { kind: 'histogram'; definition: HistogramDefinition; series: Map<string, Growing<Buckets>> }
  | { kind: 'gauge'; definition: Definition; sources: Map<string, Map<string, CurrentValue>> };

export interface CurrentValue {
  attributes: Attributes;
  value: number;
}

export const OVERFLOW_KEY = attributesKey(OVERFLOW);

/** Whether a new attribute set has to go to the overflow series, for which one place is kept. */
export function isFull(series: ReadonlyMap<string, unknown>, limit: number): boolean {
  return series.size - (series.has(OVERFLOW_KEY) ? 1 : 0) >= limit - 1;
}

/** The instrument as cumulative OpenTelemetry data; shares nothing with the state, which goes on changing. */
export function snapshot(state: State, created: HrTime, end: HrTime, limit: number): sdk.MetricData {
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
          value: { buckets: { boundaries, counts: [...value.counts] }, count: value.count, sum: value.sum },
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

/** From Unix milliseconds. */
export function hrTime(unixMs: number): HrTime {
  const seconds = Math.floor(unixMs / 1000);
  return [seconds, Math.min(999_999_999, Math.round((unixMs - seconds * 1000) * 1e6))];
}
