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
      state: 'live' as const,
      lastUsed: 100_000 - (idleMs ?? 0),
      priority: 100_000 - (idleMs ?? 0),
      running: new Map(idleMs === null ? [[1, { calls, oldest: 0 }]] : []),
    },
  });

  it('is the idle process of the tenant that is furthest over its share, then the one of the lowest priority', () => {
    const [a, b, c] = [share('a', 5), share('b', 2), share('c', 0, 1)];
    const [old, young] = [one(b, 60_000), one(a, 5_000)];
    const processes = [old, young, one(a, 4_000), one(a, null), one(a, null), one(a, null), one(b, null)];
    const node = { now: 100_000, limit: 7, waiting: c, shares: [a, b, c], processes };
    expect(whoGivesWay(node)).toBe(young.instance);
    expect(whoGivesWay({ ...node, limit: 30 })).toBe(old.instance);
  });

  it('is the process with the fewest calls where all are busy, and nobody where that would only swap places', () => {
    const [a, b] = [share('a', 3), share('b', 1, 5)];
    const few = one(a, null, 1);
    const processes = [one(a, null, 9), few, one(a, null, 5), one(b, null, 1)];
    const node = { now: 100_000, limit: 4, waiting: b, shares: [a, b], processes };
    expect(whoGivesWay(node)).toBe(few.instance);
    expect(whoGivesWay({ ...node, shares: [share('a', 2), b], processes: [] })).toBe(null);
    const even = [share('a', 2), share('b', 1, 5)] as const;
    const left = [one(even[0], null), one(even[0], null), one(even[1], null)];
    expect(whoGivesWay({ ...node, limit: 3, waiting: even[1], shares: even, processes: left })).toBe(null);
  });
});
