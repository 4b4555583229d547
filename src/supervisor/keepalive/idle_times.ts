/**
 * What is remembered of one function's idle times: a bounded histogram of them in minutes, and the last few as they were
 * ("Serverless in the Wild", USENIX ATC '20, section 4.2).
 *
 * An idle time is what lies between two calls, from a minute upwards: a process outlives shorter ones anyway. The state
 * of a function is 240 counters of one byte and ten numbers, about 700 bytes with what JavaScript adds.
 */

/** Minutes that the histogram covers, a bin each: four hours, as in the paper. */
export const RANGE_MINUTES = 240;
/** Idle times that are remembered as they were. */
export const RECENT = 6;
/** A bin that is full halves all of them: what was long ago counts for less. */
const FULL = 255;

export interface IdleTimes {
  /** By the nearest minute, so that a clock that is a second early or late fills one bin; bin 0 stays empty. */
  readonly bins: Uint8Array;
  /** Sum of the bins, and of their squares. */
  total: number;
  squares: number;
  /** Idle times beyond the range: halved together with the bins. */
  outside: number;
  /** The last few in whole minutes, oldest first. */
  readonly recent: number[];
}

export function createIdleTimes(): IdleTimes {
  return { bins: new Uint8Array(RANGE_MINUTES), total: 0, squares: 0, outside: 0, recent: [] };
}

/** @param minutes of one idle time; less than one is left out. */
export function noteIdleTime(times: IdleTimes, minutes: number): void {
  const whole = Math.round(minutes);
  if (whole < 1) return;
  if (times.recent.length === RECENT) times.recent.shift();
  times.recent.push(whole);
  if (whole >= RANGE_MINUTES) {
    times.outside++;
    if (times.outside > FULL) halve(times);
    return;
  }
  let count = times.bins[whole] ?? 0;
  if (count === FULL) {
    halve(times);
    count = times.bins[whole] ?? 0;
  }
  times.bins[whole] = count + 1;
  times.total++;
  times.squares += 2 * count + 1;
}

function halve(times: IdleTimes): void {
  times.total = 0;
  times.squares = 0;
  times.outside >>= 1;
  for (let at = 1; at < RANGE_MINUTES; at++) {
    const half = (times.bins[at] ?? 0) >> 1;
    times.bins[at] = half;
    times.total += half;
    times.squares += half * half;
  }
}

/** The first bin with at least `share` (0 to 1) of the idle times in it and below; 0 where there are none. */
export function percentile(times: IdleTimes, share: number): number {
  const wanted = Math.max(1, Math.ceil(times.total * share - 1e-9));
  let sum = 0;
  for (let at = 1; at < RANGE_MINUTES; at++) {
    sum += times.bins[at] ?? 0;
    if (sum >= wanted) return at;
  }
  return 0;
}

/**
 * The coefficient of variation of the bins' counts: high where a few bins hold most of the idle times, 0 where they are
 * spread evenly.
 */
export function variation(times: IdleTimes): number {
  if (times.total === 0) return 0;
  return Math.sqrt(Math.max(0, (RANGE_MINUTES * times.squares) / times.total ** 2 - 1));
}
