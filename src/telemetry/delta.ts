/** What a process tells the primary of its instruments: plain data that survives JSON and structured cloning. */
import type { Attributes } from './attributes.js';

/** What an instrument is, the same in every process. */
export interface Definition {
  /** By the OpenTelemetry conventions, such as `faas.invocations`. */
  name: string;
  description: string;
  /** UCUM, such as `s`, `By`, `1` or `{invocation}`. */
  unit: string;
  /** Gauges only: values of different processes are kept apart (attribute `hearth.process`) and not summed. */
  perProcess?: boolean;
}

export interface HistogramDefinition extends Definition {
  /** Inclusive upper bounds of the buckets, ascending, in the instrument's unit; one bucket more lies above the last. */
  bounds: readonly number[];
}

/** `value`: what was added since the last drain, at least 0. */
export interface CounterPoint {
  attributes: Attributes;
  value: number;
}

/** `value`: as it is now; null when the series is gone. */
export interface GaugePoint {
  attributes: Attributes;
  value: number | null;
}

/** One value that was recorded, and the trace that shows what it was made of. */
export interface Exemplar {
  value: number;
  /** Unix ms. */
  time: number;
  traceId: string;
  spanId: string;
}

/** What was recorded since the last drain. `buckets` has one count more than there are bounds. */
export interface HistogramPoint {
  attributes: Attributes;
  count: number;
  sum: number;
  buckets: number[];
  /** The last one of each bucket that has one, by the bucket's number. */
  exemplars?: [bucket: number, exemplar: Exemplar][];
}

/** The changed series of one instrument. */
export type Delta =
  | { kind: 'counter'; definition: Definition; points: CounterPoint[] }
  | { kind: 'gauge'; definition: Definition; points: GaugePoint[] }
  | { kind: 'histogram'; definition: HistogramDefinition; points: HistogramPoint[] };
