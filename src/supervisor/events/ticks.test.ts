import { describe, expect, it } from 'vitest';
import { createTicks, MAX_LATE_MS } from './ticks.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const NOON = Date.UTC(2026, 10, 26, 12);

function shown(due: { functionId: string; at: number }[]): [string, string][] {
  return due.map(({ functionId, at }) => [functionId, new Date(at).toISOString().slice(11, 19)]);
}

describe('ticks', () => {
  it('come at their times, the earliest first, again and again', () => {
    const ticks = createTicks();
    ticks.set('five', '*/5 * * * *', NOON);
    ticks.set('minute', '* * * * *', NOON);
    ticks.set('second', '*/20 * * * * *', NOON);
    expect(ticks.next()).toBe(NOON + 20 * SECOND);
    expect(ticks.take(NOON + 19_999)).toEqual([]);
    expect(shown(ticks.take(NOON + 20 * SECOND))).toEqual([['second', '12:00:20']]);
    expect(shown(ticks.take(NOON + 40 * SECOND + 5))).toEqual([['second', '12:00:40']]);
    expect(shown(ticks.take(NOON + MINUTE)).sort()).toEqual([
      ['minute', '12:01:00'],
      ['second', '12:01:00'],
    ]);
    expect(shown(ticks.take(NOON + 5 * MINUTE)).sort()).toEqual([
      ['five', '12:05:00'],
      ['minute', '12:05:00'],
      ['second', '12:05:00'],
    ]);
  });

  it('that were missed are one, the latest; none is made that is too late', () => {
    const ticks = createTicks();
    ticks.set('minute', '* * * * *', NOON - 24 * HOUR);
    ticks.set('daily', '0 9 * * *', NOON - 24 * HOUR);
    ticks.set('morning', '30 11 * * *', NOON - 24 * HOUR);
    expect(shown(ticks.take(NOON + 10)).sort()).toEqual([
      ['minute', '12:00:00'],
      ['morning', '11:30:00'],
    ]);
    expect(MAX_LATE_MS).toBe(HOUR);
    expect(ticks.take(NOON + 10)).toEqual([]);
    expect(ticks.next()).toBe(NOON + MINUTE);
  });

  it('are taken a few at a time where there are many, and none is left out for it', () => {
    const ticks = createTicks();
    for (let n = 0; n < 25; n++) ticks.set(String(n), n % 2 === 0 ? '* * * * *' : '*/5 * * * *', NOON);
    const at = NOON + 5 * MINUTE;
    const taken = [10, 10, 10].map((limit) => ticks.take(at, limit));
    expect(taken.map((due) => due.length)).toEqual([10, 10, 5]);
    expect(new Set(taken.flat().map(({ functionId }) => functionId)).size).toBe(25);
    expect(new Set(taken.flat().map((due) => due.at))).toEqual(new Set([at]));
    expect(ticks.next()).toBe(at + MINUTE);
  });

  it('come again where they could not be made, unless the schedule is another by then', () => {
    const ticks = createTicks();
    ticks.set('a', '* * * * *', NOON);
    ticks.set('b', '* * * * *', NOON);
    const due = ticks.take(NOON + MINUTE);
    ticks.set('b', '*/2 * * * *', NOON + MINUTE);
    for (const tick of due) ticks.putBack(tick);
    expect(shown(ticks.take(NOON + MINUTE + SECOND))).toEqual([['a', '12:01:00']]);
    // By the time that it can be made another may have come: that one then, alone.
    for (const tick of due) ticks.putBack(tick);
    expect(shown(ticks.take(NOON + 3 * MINUTE)).sort()).toEqual([
      ['a', '12:03:00'],
      ['b', '12:02:00'],
    ]);
  });

  it('end with their schedule', () => {
    const ticks = createTicks();
    ticks.set('a', '* * * * *', NOON);
    ticks.set('a', '0 * * * *', NOON);
    expect(ticks.scheduleOf('a')).toBe('0 * * * *');
    expect(ticks.take(NOON + MINUTE)).toEqual([]);
    expect(ticks.next()).toBe(NOON + HOUR);
    ticks.remove('a');
    expect([ticks.scheduleOf('a'), ticks.next(), ticks.size()]).toEqual([undefined, null, 0]);
  });

  it('keep their order with many schedules that come, change and go', () => {
    const ticks = createTicks();
    for (let n = 0; n < 2_000; n++) ticks.set(`f${n % 500}`, `${(n * 7) % 60} ${(n * 11) % 24} * * *`, NOON);
    for (let n = 0; n < 500; n += 3) ticks.remove(`f${n}`);
    const seen = new Map<string, number>();
    let last = NOON;
    for (let next = ticks.next(); next !== null && next <= NOON + 24 * HOUR; next = ticks.next()) {
      expect(next).toBeGreaterThanOrEqual(last);
      last = next;
      for (const { functionId } of ticks.take(next)) seen.set(functionId, (seen.get(functionId) ?? 0) + 1);
    }
    expect(seen.size).toBe(ticks.size());
    expect(new Set(seen.values())).toEqual(new Set([1]));
  });
});
