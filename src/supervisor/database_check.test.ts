import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startDatabaseCheck } from './database_check.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A database whose answers are in the test's hand. */
function setUp() {
  const asked: { answer(): void; fail(error: Error): void }[] = [];
  const told: boolean[] = [];
  const took: [ms: number, error: unknown][] = [];
  const shown: string[][] = [];
  const check = startDatabaseCheck({
    ping: () => new Promise((answer, fail) => asked.push({ answer, fail })),
    sessions: async () => [{ name: 'hearth-router', idle: 1, used: 0 }],
    onChecked: (up) => told.push(up),
    onTook: (ms, error) => took.push([ms, error]),
    onSessions: (sessions) => shown.push(sessions.map(({ name }) => name)),
  });
  return { check, asked, told, took, shown };
}

describe('the check of the database', () => {
  it('tells of each answer, how long it took, and why there was none', async () => {
    const { check, asked, told, took, shown } = setUp();
    await vi.advanceTimersByTimeAsync(2_000);
    await vi.advanceTimersByTimeAsync(30);
    asked[0]?.answer();
    await vi.advanceTimersByTimeAsync(2_000);
    expect([told, shown]).toEqual([[true], [['hearth-router']]]);
    const refused = new Error('refused');
    asked[1]?.fail(refused);
    await vi.advanceTimersByTimeAsync(0);
    expect([told, shown]).toEqual([
      [true, false],
      [['hearth-router'], []],
    ]);
    expect(took.map(([, error]) => error)).toEqual([undefined, refused]);
    expect(took[0]?.[0]).toBeCloseTo(30);
    check.stop();
  });

  it('takes silence for an absence after five seconds, asks nothing more meanwhile, and believes a late answer', async () => {
    const { check, asked, told } = setUp();
    await vi.advanceTimersByTimeAsync(6_000);
    expect([asked.length, told]).toEqual([1, []]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect([asked.length, told]).toEqual([1, [false]]);
    asked[0]?.answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual([false, true]);
    check.stop();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toHaveLength(1);
  });
});
