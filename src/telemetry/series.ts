/** The numbers of one series. Writing touches only what was allocated when the series was made: classes, not closures, for that. */
import type { Attributes } from './attributes.js';
import type { CounterPoint, Exemplar, GaugePoint, HistogramPoint } from './delta.js';

/** A series that can tell what changed in it. */
export interface Drainable<Point> {
  /** What changed since the last call (the first call always tells, so that a zero is seen), or undefined. */
  take(): Point | undefined;
  /** The last point, for a series that is being dropped. */
  takeLast(): Point | undefined;
}

export class CounterCell implements Drainable<CounterPoint> {
  private readonly value = new Float64Array(1);
  private told = false;

  constructor(private readonly attributes: Attributes) {}

  /** `n` is at least 0 and finite; anything else is ignored (OpenTelemetry API, "Counter operations"). */
  add(n: number): void {
    if (n >= 0 && n < Number.POSITIVE_INFINITY) this.value[0] = (this.value[0] ?? 0) + n;
  }

  take(): CounterPoint | undefined {
    const value = this.value[0] ?? 0;
    if (value === 0 && this.told) return undefined;
    this.told = true;
    this.value[0] = 0;
    return { attributes: this.attributes, value };
  }

  takeLast(): CounterPoint | undefined {
    return this.take();
  }
}

export class GaugeCell implements Drainable<GaugePoint> {
  private readonly value = new Float64Array(1);
  private told: number | undefined;

  constructor(private readonly attributes: Attributes) {}

  /** Values that are not finite are ignored. */
  set(value: number): void {
    if (Number.isFinite(value)) this.value[0] = value;
  }

  /** `n` may be negative; values that are not finite are ignored. */
  add(n: number): void {
    if (Number.isFinite(n)) this.value[0] = (this.value[0] ?? 0) + n;
  }

  take(): GaugePoint | undefined {
    const value = this.value[0] ?? 0;
    if (value === this.told) return undefined;
    this.told = value;
    return { attributes: this.attributes, value };
  }

  takeLast(): GaugePoint | undefined {
    return { attributes: this.attributes, value: null };
  }
}

export class HistogramCell implements Drainable<HistogramPoint> {
  private readonly bounds: Float64Array;
  private readonly buckets: Float64Array;
  /** Count, then sum. */
  private readonly totals = new Float64Array(2);
  private told = false;
  /** The last of each bucket; null: none since the last drain. */
  private exemplars: (Exemplar | undefined)[] | null = null;

  constructor(
    private readonly attributes: Attributes,
    bounds: readonly number[],
  ) {
    this.bounds = Float64Array.from(bounds);
    this.buckets = new Float64Array(bounds.length + 1);
  }

  /** `value` is at least 0 and finite; anything else is ignored (OpenTelemetry API, "Histogram operations"). */
  record(value: number, exemplar?: Exemplar): void {
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) return;
    let low = 0;
    let high = this.bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= (this.bounds[middle] ?? 0)) high = middle;
      else low = middle + 1;
    }
    this.buckets[low] = (this.buckets[low] ?? 0) + 1;
    this.totals[0] = (this.totals[0] ?? 0) + 1;
    this.totals[1] = (this.totals[1] ?? 0) + value;
    if (exemplar !== undefined) {
      this.exemplars ??= [];
      this.exemplars[low] = exemplar;
    }
  }

  take(): HistogramPoint | undefined {
    const [count = 0, sum = 0] = this.totals;
    if (count === 0 && this.told) return undefined;
    this.told = true;
    const point: HistogramPoint = {
      attributes: this.attributes,
      count,
      sum,
      buckets: Array.from(this.buckets),
    };
    if (this.exemplars !== null) {
      point.exemplars = [...this.exemplars.entries()].filter(
        (each): each is [number, Exemplar] => each[1] !== undefined,
      );
      this.exemplars = null;
    }
    this.totals.fill(0);
    this.buckets.fill(0);
    return point;
  }

  takeLast(): HistogramPoint | undefined {
    return this.take();
  }
}
