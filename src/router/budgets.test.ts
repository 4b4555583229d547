import { describe, expect, it } from 'vitest';
import type { BudgetSpec, ToSupervisor } from '../supervisor/protocol.js';
import { createBudgets } from './budgets.js';
import { callerOf, createCallerBudgets, parseRateLimit } from './budgets_callers.js';
import { rateLimitFields } from './budgets_fields.js';

const spec: BudgetSpec = { key: 'c', limit: 10, windowMs: 60_000, of: null };
const permits: BudgetSpec = { key: 'p', limit: 2, windowMs: null, of: { tenant: 't', quota: 'concurrent' } };

function setUp() {
  let time = 60_000;
  const sent: ToSupervisor[] = [];
  const budgets = createBudgets({ send: (message) => sent.push(message), now: () => time });
  const grant = (key: string, tokens: number, left = 0, startsAt = 60_000) =>
    budgets.handle({ t: 'budget-grant', key, startsAt, until: startsAt + 60_000, tokens, left });
  return {
    budgets,
    grant,
    grantPermits: (tokens: number) =>
      budgets.handle({ t: 'budget-grant', key: 'p', startsAt: 0, until: null, tokens, left: 0 }),
    now: () => time,
    pass: (ms: number) => {
      time += ms;
    },
    take: () => sent.splice(0),
  };
}

describe('tokens', () => {
  it('are asked for once for all calls that wait, and spent without a message after that', async () => {
    const { budgets, grant, take } = setUp();
    const budget = budgets.open(spec);
    expect(budgets.take(budget)).toBe(false);
    const waiting = [budgets.wait(budget), budgets.wait(budget), budgets.wait(budget)];
    expect(take()).toMatchObject([{ t: 'budget-ask', wanted: 1 }]);
    grant('c', 1);
    expect(take()).toMatchObject([{ t: 'budget-ask', wanted: 2 }]);
    grant('c', 4);
    expect(await Promise.all(waiting)).toEqual([true, true, true]);
    expect([budgets.take(budget), budgets.take(budget), budgets.take(budget)]).toEqual([true, true, false]);
    expect(take()).toEqual([]);
  });

  it('that are refused are refused here until the window ends', async () => {
    const { budgets, take, pass } = setUp();
    const budget = budgets.open(spec);
    const waiting = budgets.wait(budget);
    take();
    budgets.handle({ t: 'budget-deny', key: 'c', until: 120_000 });
    expect(await waiting).toBe(false);
    expect(budgets.isDenied(budget)).toBe(true);
    pass(59_999);
    expect(budgets.isDenied(budget)).toBe(true);
    pass(1);
    expect(budgets.isDenied(budget)).toBe(false);
    expect(take()).toEqual([]);
  });

  it('are worth nothing once their window has ended', () => {
    const { budgets, grant, pass } = setUp();
    const budget = budgets.open(spec);
    void budgets.wait(budget);
    grant('c', 5);
    expect(budgets.take(budget)).toBe(true);
    pass(60_000);
    expect(budgets.take(budget)).toBe(false);
    void budgets.wait(budget);
    grant('c', 1, 0, 120_000);
    expect(budgets.take(budget)).toBe(false);
  });

  it('go back when they are recalled, when the limit changes, and when there is no limit any more', async () => {
    const { budgets, grant, take } = setUp();
    const budget = budgets.open(spec);
    void budgets.wait(budget);
    grant('c', 4);
    take();
    budgets.handle({ t: 'budget-recall', key: 'c' });
    expect(take()).toEqual([{ t: 'budget-return', rows: [['c', 60_000, 3]], recalled: true }]);
    budgets.handle({ t: 'budget-recall', key: 'unknown' });
    expect(take()).toEqual([{ t: 'budget-return', rows: [['unknown', 0, 0]], recalled: true }]);
    grant('c', 2);
    budgets.handle({ t: 'budget-deny', key: 'c', until: 120_000 });
    budgets.open({ ...spec, limit: 20 });
    expect(take()).toEqual([{ t: 'budget-return', rows: [['c', 60_000, 2]], recalled: false }]);
    expect(budgets.isDenied(budget)).toBe(false);
    const waiting = budgets.wait(budget);
    budgets.close(budget);
    expect(await waiting).toBe(true);
    take();
    grant('c', 2);
    expect(take()).toEqual([{ t: 'budget-return', rows: [['c', 60_000, 2]], recalled: false }]);
  });

  it('of a tenant that are not used go back within a second; as many stay as were spent', () => {
    const { budgets, grant, take } = setUp();
    const budget = budgets.open(spec);
    void budgets.wait(budget);
    grant('c', 8);
    expect([budgets.take(budget), budgets.take(budget)]).toEqual([true, true]);
    take();
    budgets.sweep([budget]);
    expect(take()).toEqual([{ t: 'budget-return', rows: [['c', 60_000, 2]], recalled: false }]);
    budgets.sweep([budget]);
    expect(take()).toEqual([{ t: 'budget-return', rows: [['c', 60_000, 3]], recalled: false }]);
    budgets.sweep([budget]);
    expect(take()).toEqual([]);
  });

  it('are waited for 5 s at most', async () => {
    const { budgets, pass } = setUp();
    const waiting = budgets.wait(budgets.open(spec));
    pass(5_000);
    budgets.sweep([]);
    await expect(waiting).rejects.toMatchObject({ code: 'OVERLOADED', retryAfter: 1 });
  });
});

describe('a token that is not needed', () => {
  it('stays here while there are others, and goes back where it was the last', () => {
    const { budgets, grant, take } = setUp();
    const budget = budgets.open(spec);
    void budgets.wait(budget);
    grant('c', 1, 5);
    take();
    budgets.refund(budget, 60_000);
    expect(take()).toEqual([]);
    expect(budgets.take(budget)).toBe(true);
    void budgets.wait(budget);
    grant('c', 1, 0);
    take();
    budgets.refund(budget, 60_000);
    expect(take()).toEqual([{ t: 'budget-return', rows: [['c', 60_000, 1]], recalled: false }]);
    expect(budgets.take(budget)).toBe(false);
    budgets.refund(budget, 0); // of a window that has ended
    expect(take()).toEqual([]);
  });
});

describe('permits', () => {
  it('serve the next call that waits here when they come back', async () => {
    const { budgets, grantPermits, take } = setUp();
    const budget = budgets.open(permits);
    const first = budgets.wait(budget);
    grantPermits(1);
    expect(await first).toBe(true);
    const second = budgets.wait(budget);
    budgets.give(budget, 0);
    expect(await second).toBe(true);
    take();
    // The question of the second call is refused: it was served before.
    budgets.handle({ t: 'budget-deny', key: 'p', until: null });
    expect(take()).toEqual([]);
    expect(budgets.isDenied(budget)).toBe(false);
  });

  it('are refused to those alone that had asked', async () => {
    const { budgets, take } = setUp();
    const budget = budgets.open(permits);
    const asked = budgets.wait(budget);
    const later = budgets.wait(budget);
    take();
    budgets.handle({ t: 'budget-deny', key: 'p', until: null });
    expect(await asked).toBe(false);
    expect(take()).toMatchObject([{ t: 'budget-ask', wanted: 1 }]);
    budgets.handle({ t: 'budget-deny', key: 'p', until: null });
    expect(await later).toBe(false);
  });

  it('that are owed go back when their calls end, idle ones at once; so do those of an older limit', async () => {
    const { budgets, grantPermits, take } = setUp();
    const budget = budgets.open(permits);
    void budgets.wait(budget);
    grantPermits(3);
    budgets.take(budget);
    take();
    budgets.handle({ t: 'budget-owe', key: 'p', permits: 2 });
    expect(take()).toEqual([{ t: 'budget-return', rows: [['p', 0, 1]], recalled: false }]);
    budgets.give(budget, 0);
    expect(take()).toEqual([{ t: 'budget-return', rows: [['p', 0, 1]], recalled: false }]);
    expect(budgets.take(budget)).toBe(false);
    budgets.open({ ...permits, limit: 1 });
    budgets.give(budget, 0);
    expect(take()).toEqual([{ t: 'budget-return', rows: [['p', 0, 1]], recalled: false }]);
    expect([budgets.take(budget), budget.held]).toEqual([false, 0]);
  });

  it('of calls that run when the quota is taken away go straight back', async () => {
    const { budgets, grantPermits, take } = setUp();
    const budget = budgets.open(permits);
    void budgets.wait(budget);
    grantPermits(1);
    budgets.close(budget);
    take();
    budgets.give(budget, 0);
    expect(take()).toEqual([{ t: 'budget-return', rows: [['p', 0, 1]], recalled: false }]);
  });
});

describe('a caller', () => {
  const user = { role: 'authenticated', tenant: 't', userId: 'ada' } as const;
  const key = {
    id: 'key-1',
    kind: 'api',
    scopes: [],
    functions: null,
    sourceRanges: null,
    expiresAt: null,
  } as const;

  it('is the user, else the key, else the address', () => {
    expect(callerOf({ ...user, key }, '192.0.2.1')).toBe('u ada');
    expect(callerOf({ role: 'anon', tenant: 't', key }, '192.0.2.1')).toBe('k key-1');
    expect(callerOf({ role: 'anon', tenant: 't' }, '192.0.2.1')).toBe('a 192.0.2.1');
    expect(callerOf(null, '192.0.2.1')).toBe('a 192.0.2.1');
    expect(callerOf({ ...user, userId: 'x'.repeat(5_000) }, '').length).toBeLessThan(100);
  });

  it.each([
    ['2001:db8:1:2:3:4:5:6', 'a 2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', 'a 2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002:ffff::', 'a 2001:db8:1:2::/64'],
    ['2001:db8::1', 'a 2001:db8:0:0::/64'],
    ['::1', 'a 0:0:0:0::/64'],
    ['fe80::1%eth0', 'a fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', 'a 64:ff9b:0:0::/64'],
  ])('at %s is its network of 64 bits', (address, caller) => {
    expect(callerOf(null, address)).toBe(caller);
  });

  it('that was not heard of for long is dropped, and what it held goes back', () => {
    const { budgets, grant, take } = setUp();
    const callers = createCallerBudgets(budgets, 2);
    const rate = { limit: 10, windowMs: 60_000 };
    const first = callers.of('f', rate, 'a');
    void budgets.wait(first);
    grant(first.spec.key, 3);
    take();
    for (const name of ['b', 'c', 'd', 'e', 'g']) callers.of('f', rate, name);
    expect(take()).toMatchObject([{ t: 'budget-return', rows: [[first.spec.key, 60_000, 2]] }]);
    expect(callers.of('f', rate, 'a')).not.toBe(first);
    expect(callers.of('f', rate, 'g')).toBe(callers.of('f', rate, 'g'));
  });

  it('may have what the text says', () => {
    expect(parseRateLimit('100/min')).toEqual({ limit: 100, windowMs: 60_000 });
    expect(['s', 'sec', 'h', 'hour', 'day'].map((unit) => parseRateLimit(`1/${unit}`)?.windowMs)).toEqual([
      1_000, 1_000, 3_600_000, 3_600_000, 86_400_000,
    ]);
    expect(parseRateLimit(null)).toBe(null);
  });
});

describe('the fields', () => {
  it('tell every limit that counts, and what is left', () => {
    const { budgets, grant, now, pass } = setUp();
    const budget = budgets.open(spec);
    void budgets.wait(budget);
    grant('c', 3, 6);
    pass(500);
    const day = budgets.open({ ...spec, key: 'd', limit: 1_000, windowMs: 86_400_000 });
    budgets.handle({ t: 'budget-deny', key: 'd', until: 86_400_000 });
    const policies = [
      { name: 'caller', budget },
      { name: 'day', budget: day },
    ] as const;
    expect(rateLimitFields(policies, now())).toEqual([
      'ratelimit-policy',
      '"caller";q=10;w=60, "day";q=1000;w=86400',
      'ratelimit',
      '"caller";r=8;t=60, "day";r=0;t=86340',
    ]);
  });
});
