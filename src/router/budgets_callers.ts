/** Rate limits for each caller of a function: who a caller is, and a bounded number of budgets, the latest asked for kept. */
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Budget, Budgets } from './budgets.js';
import type { Principal } from './principal.js';

/** What a function's `rate_limit` says. */
export interface RateLimit {
  readonly limit: number;
  readonly windowMs: number;
}

const UNITS_MS: Record<string, number> = {
  s: 1_000,
  sec: 1_000,
  min: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  day: 86_400_000,
};

/** Such as `100/min`, as the field's own check lets it through; null: no limit. */
export function parseRateLimit(text: string | null): RateLimit | null {
  const [count, unit] = text?.split('/') ?? [];
  const windowMs = UNITS_MS[unit ?? ''];
  return windowMs === undefined ? null : { limit: Number(count), windowMs };
}

/** Characters of a user's id that are kept as they are; longer ones are hashed, so that a key's size is bounded. */
const MAX_ID = 128;

/** The user where the token names one, else the key, else the address. */
export function callerOf(principal: Principal | null, address: string): string {
  if (principal?.userId !== undefined) {
    const { userId } = principal;
    return `u ${userId.length <= MAX_ID ? userId : createHash('sha256').update(userId).digest('hex')}`;
  }
  if (principal?.key !== undefined) return `k ${principal.key.id}`;
  return `a ${isIPv6(address) ? subnetOf(address) : address}`;
}

/** The first 64 bits of an IPv6 address: whoever has one of its addresses has all of them (RFC 6177). */
function subnetOf(address: string): string {
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  // An embedded IPv4 address stands for two groups.
  const lastGroups = last.length + (last.at(-1)?.includes('.') === true ? 1 : 0);
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - first.length - lastGroups);
  const groups = [...first, ...Array<string>(zeros).fill('0'), ...last].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}

/** Budgets kept at least; there are at most twice as many. */
const KEPT = 10_000;

export interface CallerBudgets {
  of(functionId: string, rate: RateLimit, caller: string): Budget;
}

/**
 * Two generations: what is asked for moves to the young one; when that is full the old one goes. Whoever is dropped
 * loses nothing: the supervisor has the count.
 */
export function createCallerBudgets(budgets: Budgets, kept = KEPT): CallerBudgets {
  let young = new Map<string, Budget>();
  let old = new Map<string, Budget>();

  function turn() {
    const dropped = old;
    old = young;
    young = new Map();
    for (const [key, budget] of dropped) {
      if (budget.waiting.length > 0) young.set(key, budget);
      else if (!old.has(key)) budgets.close(budget);
    }
  }

  return {
    of(functionId, rate, caller) {
      const key = `rate ${functionId} ${caller}`;
      let budget = young.get(key);
      if (budget === undefined) {
        if (young.size >= kept) turn();
        budget = old.get(key);
      }
      if (budget === undefined || budget.spec.limit !== rate.limit || budget.spec.windowMs !== rate.windowMs)
        budget = budgets.open({ key, limit: rate.limit, windowMs: rate.windowMs, of: null });
      young.set(key, budget);
      return budget;
    },
  };
}
