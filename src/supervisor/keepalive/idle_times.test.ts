import { describe, expect, it } from 'vitest';
import { createIdleTimes, noteIdleTime, percentile, RANGE_MINUTES, RECENT, variation } from './idle_times.js';

function noted(...minutes: number[]) {
  const times = createIdleTimes();
  for (const each of minutes) noteIdleTime(times, each);
  return times;
}

const repeat = (value: number, count: number) => new Array<number>(count).fill(value);

describe('the histogram of idle times', () => {
  it('has its percentiles at the minute that the share of idle times ends in', () => {
    const times = noted(...repeat(10, 90), ...repeat(30, 9), 200);
    expect([0.05, 0.9, 0.91, 0.99, 1].map((share) => percentile(times, share))).toEqual([
      10, 10, 30, 30, 200,
    ]);
    expect(percentile(createIdleTimes(), 0.99)).toBe(0);
  });

  it('halves all counts when one is full, and stays as large as it is', () => {
    const times = noted(...repeat(20, 100), ...repeat(7, 255));
    expect(times.total).toBe(355);
    noteIdleTime(times, 7);
    expect([times.bins[7], times.bins[20], times.total]).toEqual([128, 50, 178]);
    expect(times.squares).toBe(128 ** 2 + 50 ** 2);
    for (let n = 0; n < 10_000; n++) noteIdleTime(times, 1 + ((n * 7) % (3 * RANGE_MINUTES)));
    for (let n = 0; n < 100_000; n++) noteIdleTime(times, 1_000);
    expect(times.bins).toHaveLength(RANGE_MINUTES);
    expect(times.recent).toHaveLength(RECENT);
    expect(times.outside).toBeLessThanOrEqual(255);
    expect(times.total).toBe(times.bins.reduce((sum, count) => sum + count, 0));
  });

  it('counts what is beyond its range, and remembers the last of them', () => {
    const times = noted(RANGE_MINUTES - 0.6, RANGE_MINUTES, 5_000.9);
    expect([times.total, times.outside, times.recent]).toEqual([1, 2, [239, 240, 5_001]]);
  });

  it('varies much where few bins have all, and little where all have the same', () => {
    expect(variation(noted(...repeat(7, 50)))).toBeGreaterThan(15);
    expect(variation(noted(...Array.from({ length: RANGE_MINUTES - 1 }, (_, at) => at + 1)))).toBeLessThan(
      0.1,
    );
    expect(variation(createIdleTimes())).toBe(0);
  });
});
