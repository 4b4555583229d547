/** What the primary keeps of one instrument over all processes. */
import type { HrTime } from '@opentelemetry/api';
import { type Attributes, attributesKey, OVERFLOW } from './attributes.js';
import type { Definition, Exemplar, HistogramDefinition } from './delta.js';

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
  /** The last one that was reported of each bucket, by the bucket's number; null: there was none. */
  exemplars: Map<number, Exemplar> | null;
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

/** From Unix milliseconds. */
export function hrTime(unixMs: number): HrTime {
  const seconds = Math.floor(unixMs / 1000);
  return [seconds, Math.min(999_999_999, Math.round((unixMs - seconds * 1000) * 1e6))];
}
