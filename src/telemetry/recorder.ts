/** Recording on the hot path: a series is resolved once, and a write to it touches only preallocated numbers. */
import {
  type Attributes,
  attributesKey,
  DEFAULT_MAX_SERIES,
  includesAttributes,
  OVERFLOW,
  type Part,
} from './attributes.js';
import type { Definition, Delta, Exemplar, HistogramDefinition } from './delta.js';
import { CounterCell, type Drainable, GaugeCell, HistogramCell } from './series.js';

export type { Attributes } from './attributes.js';
export type { Definition, Delta, Exemplar, HistogramDefinition } from './delta.js';

/** `add` takes what is at least 0 and finite, and ignores the rest. */
export interface CounterSeries {
  add(n: number): void;
}

/** `set` and `add` ignore what is not finite; `add` may be negative. */
export interface GaugeSeries {
  set(value: number): void;
  add(n: number): void;
}

/** `record` takes what is at least 0 and finite, in the instrument's unit, and ignores the rest. */
export interface HistogramSeries {
  record(value: number, exemplar?: Exemplar): void;
}

/** Anything that `with` can return. */
export type Series = CounterSeries | GaugeSeries | HistogramSeries;

/**
 * `with` resolves (or makes) the series of an attribute set, which is copied; keep the series, do not ask at each call.
 * Beyond the cap it returns the instrument's overflow series (attribute `otel.metric.overflow`).
 */
export interface Instrument<A extends Attributes, S extends Series> {
  with(attributes: A): S;
  /** Drops the series whose attributes include these, as `Recorder.release` does in every instrument. */
  release(part: Part): void;
}
export type Counter<A extends Attributes = Attributes> = Instrument<A, CounterSeries>;
export type Gauge<A extends Attributes = Attributes> = Instrument<A, GaugeSeries>;
export type Histogram<A extends Attributes = Attributes> = Instrument<A, HistogramSeries>;

export interface Recorder {
  /** Throws when the name is already taken. */
  counter<A extends Attributes = Attributes>(definition: Definition): Counter<A>;
  /** Summed over processes, or kept apart when the definition says `perProcess`. Throws when the name is already taken. */
  gauge<A extends Attributes = Attributes>(definition: Definition): Gauge<A>;
  /** Throws when the name is already taken or the bounds do not ascend. */
  histogram<A extends Attributes = Attributes>(definition: HistogramDefinition): Histogram<A>;
  /**
   * Drops, in every instrument, the series whose attributes include these, or pass the test. It looks at all of them.
   * The next drain tells of them for the last time; what is written to them after that is lost.
   */
  release(part: Part): void;
  /** What changed since the last drain: counters and histograms as differences, gauges as they are now. */
  drain(): Delta[];
}

export interface RecorderOptions {
  /** Series per instrument, the overflow series among them; at least 2, default 2000. */
  maxSeriesPerInstrument?: number;
}

export function createRecorder(options: RecorderOptions = {}): Recorder {
  const limit = options.maxSeriesPerInstrument ?? DEFAULT_MAX_SERIES;
  const names = new Set<string>();
  const drains: Array<() => Delta | undefined> = [];
  const releases: Array<(part: Part) => void> = [];

  function add<Point, S extends Series>(
    definition: Definition,
    make: (attributes: Attributes) => S & Drainable<Point>,
    delta: (points: Point[]) => Delta,
  ): Instrument<Attributes, S> {
    if (names.has(definition.name)) throw new Error(`The instrument ${definition.name} is defined twice.`);
    names.add(definition.name);
    const family = createFamily(limit, make);
    releases.push(family.release);
    drains.push(() => {
      const points = family.take();
      return points.length === 0 ? undefined : delta(points);
    });
    return family;
  }

  return {
    counter(definition) {
      const make = (attributes: Attributes) => new CounterCell(attributes);
      return add(definition, make, (points) => ({ kind: 'counter', definition, points }));
    },
    gauge(definition) {
      const make = (attributes: Attributes) => new GaugeCell(attributes);
      return add(definition, make, (points) => ({ kind: 'gauge', definition, points }));
    },
    histogram(definition) {
      const { bounds, name } = definition;
      if (bounds.some((bound, i) => !(bound > (bounds[i - 1] ?? Number.NEGATIVE_INFINITY)))) {
        throw new Error(`The bounds of ${name} do not ascend.`);
      }
      const make = (attributes: Attributes) => new HistogramCell(attributes, bounds);
      return add(definition, make, (points) => ({ kind: 'histogram', definition, points }));
    },
    release(part) {
      for (const release of releases) release(part);
    },
    drain() {
      return drains.map((drain) => drain()).filter((delta) => delta !== undefined);
    },
  };
}

/** The series of one instrument. */
function createFamily<Point, S extends Series>(
  limit: number,
  make: (attributes: Attributes) => S & Drainable<Point>,
) {
  type Cell = S & Drainable<Point>;
  const cells = new Map<string, { attributes: Attributes; cell: Cell }>();
  /** Dropped since the last drain; they count against the cap, so that dropping without draining stays bounded. */
  let released: Cell[] = [];
  let overflow: Cell | undefined;

  return {
    with(attributes: Attributes): S {
      const key = attributesKey(attributes);
      const known = cells.get(key);
      if (known !== undefined) return known.cell;
      if (cells.size + released.length >= limit - 1) {
        overflow ??= make(OVERFLOW);
        return overflow;
      }
      const copy = Object.freeze({ ...attributes });
      const cell = make(copy);
      cells.set(key, { attributes: copy, cell });
      return cell;
    },
    release(part: Part): void {
      for (const [key, { attributes, cell }] of cells) {
        if (!includesAttributes(attributes, part)) continue;
        cells.delete(key);
        released.push(cell);
      }
    },
    take(): Point[] {
      const points: Array<Point | undefined> = released.map((cell) => cell.takeLast());
      released = [];
      for (const { cell } of cells.values()) points.push(cell.take());
      if (overflow !== undefined) points.push(overflow.take());
      return points.filter((point): point is Point => point !== undefined);
    },
  };
}
