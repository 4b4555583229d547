import { describe, expect, it } from 'vitest';
import { whoGivesWay } from './scaling.js';

describe('who gives way on a full node', () => {
  const share = (tenant: string, processes: number, waiting = 0) => ({
    tenant,
    processes,
    functions: 1,
    starting: 0,
    memoryMib: 0,
    waiting: { length: waiting },
    searchedAt: 0,
    heldBackAt: 0,
  });
  const one = (of: ReturnType<typeof share>, idleMs: number | null, calls = 1) => ({
    share: of,
    instance: {
      state: 'live' as 'live' | 'draining',
      lastUsed: 100_000 - (idleMs ?? 0),
      priority: 100_000 - (idleMs ?? 0),
      running: new Map(idleMs === null ? [[1, { calls, oldest: 0 }]] : []),
    },
  });

  it('is the idle process of the tenant that is furthest over its share, then the one of the lowest priority', () => {
    const [a, b, c] = [share('a', 5), share('b', 2), share('c', 0, 1)];
    const [old, young] = [one(b, 60_000), one(a, 5_000)];
    const processes = [old, young, one(a, 4_000), one(a, null), one(a, null), one(a, null), one(b, null)];
    const node = { now: 100_000, limit: 7, waiting: c, wanted: 1, shares: [a, b, c], processes };
    expect(whoGivesWay(node)).toEqual([young.instance]);
    expect(whoGivesWay({ ...node, limit: 30 })).toEqual([old.instance]);
  });

  it('is the process with the fewest calls where all are busy, and nobody where that would only swap places', () => {
    const [a, b] = [share('a', 3), share('b', 1, 5)];
    const few = one(a, null, 1);
    const processes = [one(a, null, 9), few, one(a, null, 5), one(b, null, 1)];
    const node = { now: 100_000, limit: 4, waiting: b, wanted: 1, shares: [a, b], processes };
    expect(whoGivesWay(node)).toEqual([few.instance]);
    expect(whoGivesWay({ ...node, shares: [share('a', 2), b], processes: [] })).toEqual([]);
    const even = [share('a', 2), share('b', 1, 5)] as const;
    const left = [one(even[0], null), one(even[0], null), one(even[1], null)];
    expect(whoGivesWay({ ...node, limit: 3, waiting: even[1], shares: even, processes: left })).toEqual([]);
  });

  it('is as many idle processes as are wanted, each chosen as if those before it had gone', () => {
    const [a, b, c] = [share('a', 4), share('b', 3), share('c', 0, 9)];
    const [a1, a2, a3] = [one(a, 9_000), one(a, 8_000), one(a, 7_000)];
    const [b1, b2] = [one(b, 60_000), one(b, 2_000)];
    const processes = [a1, b1, a2, b2, a3, one(a, null), one(b, null)];
    const node = { now: 100_000, limit: 7, waiting: c, wanted: 3, shares: [a, b, c], processes };
    // Over their shares of 7/3 are a with two, and b with one: a's go until it has no more than b.
    expect(whoGivesWay(node)).toEqual([a1.instance, b1.instance, a2.instance]);
    expect(whoGivesWay({ ...node, wanted: 100 })).toHaveLength(5);
    expect(whoGivesWay({ ...node, wanted: 2 })).toEqual([a1.instance, b1.instance]);
  });

  it('is fewer by those that leave already, unless these have calls to finish', () => {
    const [a, c] = [share('a', 4), share('c', 0, 9)];
    const [old, young] = [one(a, 9_000), one(a, 8_000)];
    const left = (calls: number | null) => {
      const process = one(a, calls === null ? 5_000 : null, calls ?? 0);
      return { ...process, instance: { ...process.instance, state: 'draining' as const } };
    };
    const node = { now: 100_000, limit: 4, waiting: c, wanted: 2, shares: [a, c] };
    expect(whoGivesWay({ ...node, processes: [left(null), old, young] })).toEqual([old.instance]);
    expect(whoGivesWay({ ...node, wanted: 1, processes: [left(null), old] })).toEqual([]);
    expect(whoGivesWay({ ...node, wanted: 1, processes: [left(3), old] })).toEqual([old.instance]);
    expect(whoGivesWay({ ...node, processes: [left(3), one(a, null)] })).toEqual([]);
  });
});
