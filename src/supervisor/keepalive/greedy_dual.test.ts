import { describe, expect, it } from 'vitest';
import { clockAfter, priorityOf, victims } from './greedy_dual.js';

describe('greedy-dual', () => {
  const process = (name: string, uses: number, costMs: number, memoryMib: number, clock = 0) => ({
    name,
    memoryMib,
    priority: priorityOf(clock, { uses, costMs, memoryMib }),
  });

  it('ends first what is large, quick to start and seldom used, until enough is free', () => {
    const usual = process('usual', 10, 20, 50);
    const large = process('large', 10, 20, 400);
    const slow = process('slow', 10, 400, 50);
    const seldom = process('seldom', 1, 20, 50);
    const idle = [slow, usual, large, seldom];
    const names = (excess: number) => victims(idle, excess).map(({ name }) => name);
    expect(names(0)).toEqual([]);
    expect(names(1)).toEqual(['seldom']);
    expect(names(51)).toEqual(['seldom', 'large']);
    expect(names(451)).toEqual(['seldom', 'large', 'usual']);
    expect(names(10_000)).toHaveLength(4);
  });

  it('lets what was popular long ago fall behind what was used since', () => {
    let clock = 0;
    const popular = process('popular', 100, 20, 50, clock);
    // One after another is evicted, each used once.
    for (let n = 0; n < 110; n++) clock = clockAfter(clock, process('other', 1, 20, 50, clock));
    const fresh = process('fresh', 1, 20, 50, clock);
    expect(victims([fresh, popular], 1)).toEqual([popular]);
    expect(clockAfter(clock, { priority: 0 })).toBe(clock);
  });
});
