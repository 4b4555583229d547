import { describe, expect, it } from 'vitest';
import { createBudgets } from './budgets.js';
import type { BudgetSpec, ToRouter } from './protocol.js';

const MINUTE = 60_000;
const caller = (key: string, limit: number): BudgetSpec => ({ key, limit, windowMs: MINUTE, of: null });
const permits = (limit: number): BudgetSpec => ({
  key: 'concurrent acme',
  limit,
  windowMs: null,
  of: { tenant: 'acme', quota: 'concurrent' },
});
const minute = (limit: number): BudgetSpec => ({
  key: 'minute acme',
  limit,
  windowMs: MINUTE,
  of: { tenant: 'acme', quota: 'minute' },
});

/** Two routers, a clock that begins with a window, and what was sent. */
function setUp(options: { maxCallers?: number } = {}) {
  let time = 1_000 * MINUTE;
  let unknown = 0;
  const sent: { router: number; message: ToRouter }[] = [];
  const budgets = createBudgets({
    now: () => time,
    send: (router, message) => sent.push({ router, message }),
    routers: () => 2,
    onUnknown: () => unknown++,
    ...options,
  });
  const take = <T extends ToRouter['t']>(type: T) => {
    const found = sent.filter(({ message }) => message.t === type);
    for (const one of found) sent.splice(sent.indexOf(one), 1);
    return found as { router: number; message: Extract<ToRouter, { t: T }> }[];
  };
  return {
    budgets,
    take,
    start: time,
    unknown: () => unknown,
    pass: (ms: number) => {
      time += ms;
      budgets.tick();
    },
    granted: () => take('budget-grant').reduce((sum, { message }) => sum + message.tokens, 0),
  };
}

describe('a budget', () => {
  it('is given out in batches that shrink to one, until the limit is reached exactly', () => {
    const { budgets, take } = setUp();
    const batches: number[] = [];
    for (let n = 0; n < 200; n++) {
      budgets.ask(1, caller('c', 100), 1);
      const [grant] = take('budget-grant');
      if (grant === undefined) break;
      batches.push(grant.message.tokens);
    }
    expect(batches.reduce((sum, tokens) => sum + tokens)).toBe(100);
    expect(batches[0]).toBeGreaterThan(5);
    expect(batches.at(-1)).toBe(1);
    expect([...batches].sort((a, b) => b - a)).toEqual(batches);
    expect(batches.length).toBeLessThan(50);
  });

  it('gives no more than there is, however many are asked for', () => {
    const { budgets, granted } = setUp();
    budgets.ask(1, caller('c', 10), 25);
    expect(granted()).toBe(10);
  });

  it('is recalled from the other router before anybody is refused', () => {
    const { budgets, take, start } = setUp();
    budgets.ask(1, caller('c', 10), 10);
    take('budget-grant');
    budgets.ask(2, caller('c', 10), 3);
    expect(take('budget-deny')).toEqual([]);
    expect(take('budget-recall')).toMatchObject([{ router: 1 }]);
    budgets.giveBack(1, [['c', start, 2]], true);
    expect(take('budget-grant')).toMatchObject([{ router: 2, message: { tokens: 2 } }]);
    // The third of its calls asks again.
    budgets.ask(2, caller('c', 10), 1);
    take('budget-recall');
    budgets.giveBack(1, [['c', start, 0]], true);
    expect(take('budget-deny')).toEqual([
      { router: 2, message: { t: 'budget-deny', key: 'c', until: start + MINUTE } },
    ]);
  });

  it('is refused at once where nobody else holds any', () => {
    const { budgets, take } = setUp();
    budgets.ask(1, caller('c', 2), 2);
    budgets.ask(1, caller('c', 2), 1);
    expect(take('budget-recall')).toEqual([]);
    expect(take('budget-deny')).toHaveLength(1);
  });

  it('is refused where a router does not answer a recall within a second', () => {
    const { budgets, take, pass } = setUp();
    budgets.ask(1, caller('c', 2), 2);
    budgets.ask(2, caller('c', 2), 1);
    pass(900);
    expect(take('budget-deny')).toEqual([]);
    pass(200);
    expect(take('budget-deny')).toMatchObject([{ router: 2 }]);
  });

  it('begins anew with the next window, which begins at a multiple of its length', () => {
    const { budgets, granted, take, pass, start } = setUp();
    pass(MINUTE - 1);
    budgets.ask(1, caller('c', 5), 9);
    expect(granted()).toBe(5);
    budgets.ask(1, caller('c', 5), 4);
    expect(take('budget-deny')).toMatchObject([{ message: { until: start + MINUTE } }]);
    pass(1);
    budgets.ask(1, caller('c', 5), 4);
    expect(granted()).toBeGreaterThanOrEqual(4);
    // What is left of the window before is worth nothing now.
    budgets.giveBack(1, [['c', start, 5]], false);
    budgets.ask(2, caller('c', 5), 5);
    expect(granted()).toBeLessThanOrEqual(1);
  });

  it('follows its limit: raised and lowered', () => {
    const { budgets, granted, take } = setUp();
    budgets.ask(1, caller('c', 5), 5);
    budgets.ask(1, caller('c', 8), 9);
    expect(granted()).toBe(8);
    budgets.ask(1, caller('c', 3), 1);
    expect(take('budget-deny')).toHaveLength(1);
  });

  it('opens again for who was refused, where tokens come back before the window ends', () => {
    const { budgets, take, start } = setUp();
    budgets.ask(1, caller('c', 4), 4);
    budgets.ask(2, caller('c', 4), 1);
    budgets.giveBack(1, [['c', start, 0]], true);
    expect(take('budget-deny')).toMatchObject([{ router: 2 }]);
    budgets.giveBack(1, [['c', start, 1]], false);
    expect(take('budget-open')).toMatchObject([{ router: 2 }]);
  });

  it('takes nothing back from a router that never had it', () => {
    const { budgets, granted, start } = setUp();
    budgets.ask(1, caller('c', 4), 4);
    budgets.giveBack(2, [['c', start, 4]], false);
    budgets.ask(2, caller('c', 4), 4);
    expect(granted()).toBe(4);
  });
});

describe('a router that dies', () => {
  it('has spent what it held of a window', () => {
    const { budgets, granted, take } = setUp();
    budgets.ask(1, caller('c', 4), 4);
    budgets.ask(2, caller('c', 4), 1);
    budgets.routerGone(1);
    expect(granted()).toBe(4);
    expect(take('budget-deny')).toMatchObject([{ router: 2 }]);
  });

  it('gives back the permits of its calls', () => {
    const { budgets, granted, take } = setUp();
    budgets.preload(permits(3), 0);
    budgets.ask(1, permits(3), 3);
    budgets.ask(2, permits(3), 1);
    expect(granted()).toBe(3);
    budgets.routerGone(1);
    expect(take('budget-grant')).toMatchObject([{ router: 2 }]);
  });
});

describe('permits', () => {
  it('that came back after a router was asked are asked for once more before a call is refused', () => {
    const { budgets, take } = setUp();
    budgets.preload(permits(2), 0);
    budgets.ask(1, permits(2), 2);
    budgets.ask(2, permits(2), 1);
    take('budget-grant');
    take('budget-recall');
    budgets.giveBack(1, [['concurrent acme', 0, 0]], true);
    expect(take('budget-deny')).toEqual([
      { router: 2, message: { t: 'budget-deny', key: 'concurrent acme', until: null } },
    ]);
    budgets.ask(2, permits(2), 1);
    expect(take('budget-recall')).toMatchObject([{ router: 1 }]);
    budgets.giveBack(1, [['concurrent acme', 0, 1]], true);
    expect(take('budget-grant')).toMatchObject([{ router: 2, message: { tokens: 1, until: null } }]);
  });

  it('are claimed back where there are more than may be, until there are not', () => {
    const { budgets, take } = setUp();
    budgets.preload(permits(6), 0);
    budgets.ask(1, permits(6), 3);
    budgets.ask(2, permits(6), 2);
    const budget = budgets.find('concurrent acme');
    if (budget === undefined) throw new Error('no budget');
    budgets.learn(budget, budget.used, 5);
    expect(take('budget-owe')).toMatchObject([
      { router: 1, message: { permits: 3 } },
      { router: 2, message: { permits: 1 } },
    ]);
    budgets.giveBack(1, [['concurrent acme', 0, 3]], false);
    budgets.learn(budget, budget.used, 0);
    expect(take('budget-owe')).toMatchObject([{ router: 2, message: { permits: 0 } }]);
    budgets.learn(budget, budget.used, 0);
    expect(take('budget-owe')).toEqual([]);
  });

  it('leave room for what runs on other nodes', () => {
    const { budgets, granted, take } = setUp();
    budgets.ask(1, permits(5), 5);
    const budget = budgets.find('concurrent acme');
    if (budget === undefined) throw new Error('no budget');
    budgets.learn(budget, 0, 3);
    expect(granted()).toBe(2);
    budgets.ask(1, permits(5), 1);
    expect(take('budget-deny')).toHaveLength(1);
  });
});

describe("a tenant's window", () => {
  it('waits to learn what other nodes have admitted, and not for long', () => {
    const { budgets, granted, pass, unknown } = setUp();
    budgets.ask(1, minute(10), 10);
    expect([granted(), unknown()]).toEqual([0, 1]);
    const budget = budgets.find('minute acme');
    if (budget === undefined) throw new Error('no budget');
    budgets.learn(budget, 0, 4);
    expect(granted()).toBe(6);
    pass(MINUTE);
    budgets.ask(1, minute(10), 10);
    pass(200);
    expect(granted()).toBe(0);
    pass(100);
    expect(granted()).toBe(10);
  });

  it('is told of only while it lasts', () => {
    const { budgets, pass } = setUp();
    budgets.preload(minute(10), 4);
    expect([...budgets.ofTenants()]).toHaveLength(1);
    pass(MINUTE);
    expect([...budgets.ofTenants()]).toHaveLength(0);
    expect(budgets.size()).toBe(0);
  });
});

describe('callers beyond the bound', () => {
  it('push out ended windows first, then who was heard of least lately; a tenant’s own count stays', () => {
    const { budgets, granted, take, pass } = setUp({ maxCallers: 3 });
    budgets.preload(minute(1), 1);
    const short: BudgetSpec = { key: 'short', limit: 1, windowMs: 1_000, of: null };
    for (const name of ['a', 'b']) budgets.ask(1, caller(name, 1), 1);
    budgets.ask(1, short, 1);
    pass(2_000);
    budgets.ask(1, caller('c', 1), 1);
    expect(granted()).toBe(4);
    // `short` made room: the others are still known, and refused.
    for (const name of ['a', 'b', 'c']) budgets.ask(1, caller(name, 1), 1);
    expect(granted()).toBe(0);
    budgets.ask(1, caller('d', 1), 1);
    for (const name of ['b', 'c']) budgets.ask(1, caller(name, 1), 1);
    expect(granted()).toBe(1);
    expect(budgets.size()).toBe(4);
    take('budget-deny');
    budgets.ask(1, minute(1), 1);
    expect(take('budget-deny')).toHaveLength(1);
    // `a` was asked for longest ago: it begins anew.
    budgets.ask(1, caller('a', 1), 1);
    expect(granted()).toBe(1);
  });
});
