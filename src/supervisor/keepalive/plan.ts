/**
 * How long a function's process is kept after a call, and when one is started ahead of the next: a pure decision.
 *
 * The hybrid histogram policy of "Serverless in the Wild" (Shahrad et al., USENIX ATC '20, section 4): a fixed window
 * until there is data, the histogram of idle times where it has a shape, the last idle times themselves where most are
 * longer than it reaches. From the paper are the range, the 5th and 99th percentiles that bound the time for which a
 * process may be held, their margins, and the test whether the histogram says anything. Its own is the price: between
 * those bounds a process is held in the minutes in which a call is likely enough (docs/decisions/0018-keep-alive.md).
 */
import { type IdleTimes, percentile, RANGE_MINUTES, variation } from './idle_times.js';

const MINUTE_MS = 60_000;
/** Idle times that have to be known before they count. */
const ENOUGH = 2;
/** The histogram has a shape when the coefficient of variation of its bins is at least this (section 4.2). */
const SHAPE = 2;
/** Bounds of what is held, as shares of the idle times, and their margin (section 4.2). */
const HEAD = 0.05;
const TAIL = 0.99;
const MARGIN = 0.1;
/** Where at least so many of the last idle times are alike, to this share of the shortest, they tell the next. */
const ALIKE_COUNT = 3;
const ALIKE = 0.1;
const ALIKE_MARGIN = 0.02;
/** Minutes by which a process is there earlier, and stays longer, than the minutes that are worth it. */
const PAD = 1;
/** Minutes without a process that are worth ending one, with all that it keeps in memory, and starting another. */
const GAP = 5;
/** Minutes that a process stays after any call. */
const LINGER = 1;
/**
 * Minutes of an idle process that one cold start is worth. Tuned with `npm run simulate`: it holds about as much as a
 * fixed window of ten minutes does.
 */
export const WORTH_MINUTES = 24;

/** All in ms since the function's last call. */
export interface Plan {
  /** Its process stays until then. */
  keepMs: number;
  /** Afterwards one is there in this time again; null: none is started ahead. */
  prewarm: { fromMs: number; untilMs: number } | null;
}

/**
 * @param times null: nothing is known of the function
 * @param fixedMs the window until there is data, and where what is known says nothing
 */
export function planFor(times: IdleTimes | null, fixedMs: number, worthMinutes = WORTH_MINUTES): Plan {
  const known = times === null ? 0 : times.total + times.outside;
  if (times === null || known < ENOUGH) return { keepMs: fixedMs, prewarm: null };
  if (times.outside * 2 > known) {
    const alike = aroundAlike(times.recent);
    if (alike !== null) return alike;
  } else if (variation(times) < SHAPE) {
    return { keepMs: fixedMs, prewarm: null };
  }
  return fromHistogram(times, worthMinutes);
}

/** The last idle times are as good as equal: a clock calls. */
function aroundAlike(recent: readonly number[]): Plan | null {
  if (recent.length < ALIKE_COUNT) return null;
  const shortest = Math.min(...recent);
  const longest = Math.max(...recent);
  if (longest - shortest > shortest * ALIKE) return null;
  const from = Math.floor(shortest * (1 - ALIKE_MARGIN)) - PAD;
  const until = Math.ceil(longest * (1 + ALIKE_MARGIN)) + PAD;
  return minutes(LINGER, from, until);
}

/**
 * Holding a process in minute b after the last call costs a minute for every idle time that is not over by then, and
 * saves a cold start for every one that ends in it. So a minute is worth `worth × ended - not over`; held are the first
 * minutes up to `keep`, and at most one window after a gap, whose sum is the greatest (Kadane's scan, which begins with
 * the sum of what is kept before the window).
 */
function fromHistogram(times: IdleTimes, worth: number): Plan {
  const first = Math.floor(percentile(times, HEAD) * (1 - MARGIN));
  const last = Math.min(RANGE_MINUTES - 1, Math.ceil(percentile(times, TAIL) * (1 + MARGIN)));
  let open = times.total + times.outside;
  /** Of all minutes so far, and the best of those sums, which ends at `keptTo`. */
  let sum = 0;
  let kept = 0;
  let keptTo = 0;
  /** The best window that ends here, and what is kept before it. */
  let value = Number.NEGATIVE_INFINITY;
  let start = 0;
  let before = 0;
  let best = { value: 0, keep: 0, from: 0, until: 0 };
  for (let at = 1; at <= last; at++) {
    const ended = times.bins[at] ?? 0;
    const worthHere = ended * worth - open;
    open -= ended;
    if (at >= first) {
      if (value < kept && at - PAD - keepOf(keptTo) >= GAP) {
        value = kept;
        start = at;
        before = keptTo;
      }
      value += worthHere;
      if (value > best.value) best = { value, keep: before, from: start, until: at };
    }
    sum += worthHere;
    if (sum <= kept) continue;
    kept = sum;
    keptTo = at;
    if (sum >= best.value) best = { value: sum, keep: at, from: 0, until: 0 };
  }
  const keep = keepOf(best.keep);
  return best.until === 0 ? minutes(keep) : minutes(keep, best.from - PAD, best.until + PAD);
}

/** Minutes for which a process stays when the first `worthIt` of them are. */
function keepOf(worthIt: number): number {
  return worthIt === 0 ? LINGER : worthIt + PAD;
}

function minutes(keep: number, from = 0, until = 0): Plan {
  return {
    keepMs: keep * MINUTE_MS,
    prewarm: until === 0 ? null : { fromMs: from * MINUTE_MS, untilMs: until * MINUTE_MS },
  };
}
