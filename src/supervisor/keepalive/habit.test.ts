import { describe, expect, it } from 'vitest';
import { newHabit, noteUse, planOf } from './habit.js';

const MINUTE = 60_000;
const FIXED = { fixedMs: 10 * MINUTE };
const START = 1_000_000 * MINUTE;

/** The plan after uses at these minutes, all in minutes. */
function planAfter(uses: readonly number[], keepAlive: Parameters<typeof planOf>[1] = FIXED) {
  const habit = newHabit();
  for (const use of uses) noteUse(habit, START + use * MINUTE);
  const { keepMs, prewarm } = planOf(habit, keepAlive);
  return {
    keep: keepMs / MINUTE,
    prewarm: prewarm === null ? null : [prewarm.fromMs / MINUTE, prewarm.untilMs / MINUTE],
  };
}

/** Uses with these minutes between them. */
function usesOf(idleTimes: readonly number[]): number[] {
  let at = 0;
  return [0, ...idleTimes.map((idle) => (at += idle))];
}

const every = (minutes: number, count: number) => Array.from({ length: count }, (_, at) => at * minutes);

describe('how long a process is kept', () => {
  it('is the fixed window for a function that was never called, and until two idle times are known', () => {
    expect(planAfter([])).toEqual({ keep: 10, prewarm: null });
    expect(planAfter([0, 45])).toEqual({ keep: 10, prewarm: null });
  });

  it('for a periodic function is a minute, and a process is there again just before the next call', () => {
    expect(planAfter(every(45, 3))).toEqual({ keep: 1, prewarm: [44, 46] });
    expect(planAfter(every(45, 500))).toEqual({ keep: 1, prewarm: [44, 46] });
  });

  it('for a clock that is some seconds early or late is the same', () => {
    const uses = every(30, 40).map((minute, at) => minute + (at % 3) / 20);
    expect(planAfter(uses)).toEqual({ keep: 1, prewarm: [29, 31] });
  });

  it('for a period that jitters reaches over the jitter with a minute to each side', () => {
    const uses = Array.from({ length: 40 }, (_, at) => at * 60 + (at % 3));
    expect(planAfter(uses)).toEqual({ keep: 1, prewarm: [57, 62] });
  });

  it('for a short period stays until the next call: ending a process for a few minutes is not worth it', () => {
    expect(planAfter(every(6, 20))).toEqual({ keep: 7, prewarm: null });
    expect(planAfter(every(8, 20)).prewarm).toEqual([7, 9]);
  });

  it('covers the breaks within a burst, and not the time between bursts', () => {
    const uses = every(400, 10).flatMap((burst) => [burst, burst + 2, burst + 5, burst + 6, burst + 8]);
    expect(planAfter(uses)).toEqual({ keep: 4, prewarm: null });
  });

  it('covers the breaks within bursts that come like clockwork, and the next burst', () => {
    const uses = every(100, 30).flatMap((burst) => [burst, burst + 2, burst + 4]);
    expect(planAfter(uses)).toEqual({ keep: 3, prewarm: [95, 97] });
  });

  it('is a minute where calls are rare and nothing tells when the next one comes', () => {
    expect(planAfter([0, 700, 2400, 2900, 5100])).toEqual({ keep: 1, prewarm: null });
  });

  it('pre-warms beyond the range of the histogram when the last idle times are alike', () => {
    const { keep, prewarm } = planAfter(every(1440, 4));
    expect(keep).toBe(1);
    expect(prewarm).toEqual([1410, 1470]);
    // Two are no clock yet.
    expect(planAfter(every(1440, 3)).prewarm).toBe(null);
  });

  it('is the fixed window where the idle times are spread all over', () => {
    let at = 0;
    const uses = Array.from({ length: 200 }, (_, n) => {
      at += 1 + ((n * 89) % 199);
      return at;
    });
    expect(planAfter(uses)).toEqual({ keep: 10, prewarm: null });
  });

  it('takes no note of what is shorter than a minute', () => {
    expect(planAfter(every(0.5, 1000))).toEqual({ keep: 10, prewarm: null });
  });

  it('follows a function that changes its period', () => {
    const before = every(45, 200);
    const end = before.at(-1) ?? 0;
    expect(planAfter([...before, ...every(90, 300).map((minute) => end + minute)]).prewarm).toContain(91);
  });

  it('stays within a tenth of the 5th and 99th percentile, whatever a cold start is worth', () => {
    const hourly = new Array<number>(150).fill(60);
    const dear = { ...FIXED, worthMinutes: 3_000 };
    expect(planAfter(usesOf([50, ...hourly, 200]), dear)).toEqual({ keep: 1, prewarm: [59, 61] });
    expect(planAfter(usesOf([50, 55, ...hourly, 64, 200]), dear)).toEqual({ keep: 1, prewarm: [54, 65] });
  });

  it('waits for a call that comes seldom only where a cold start is worth it', () => {
    const uses = usesOf([...new Array<number>(14).fill(5), 38, ...new Array<number>(14).fill(700)]);
    expect(planAfter(uses, { ...FIXED, worthMinutes: 12 })).toEqual({ keep: 6, prewarm: null });
    expect(planAfter(uses, { ...FIXED, worthMinutes: 40 })).toEqual({ keep: 6, prewarm: [37, 39] });
  });
});
