/**
 * The budgets that a node counts. Tenants' own are as many as there are tenants with quotas. Callers' are bounded: where
 * one more does not fit, those whose window has ended go first, then the one that was asked for longest ago, whose
 * caller then has a fresh window.
 */
import type { BudgetSpec } from './protocol.js';

export interface Budget {
  spec: BudgetSpec;
  /** Unix ms: the window; 0 and infinity for permits. */
  startsAt: number;
  endsAt: number;
  /** Granted to routers of this node; of a tenant's window, what the database has not been told of yet. */
  used: number;
  /** What the database tells: of windows, what all nodes have admitted; of permits, what the others have. */
  elsewhere: number;
  /** Whether `elsewhere` has been learned in this window. */
  known: boolean;
  /** Router → tokens that it was granted and has not given back. */
  readonly holders: Map<number, number>;
  /** Router → what it waits for, in the order of arrival. `tried`: a recall began after it came. */
  readonly asks: Map<number, { wanted: number; tried: boolean }>;
  /** Routers whose answer to a recall is awaited. */
  readonly awaited: Set<number>;
  recalledAt: number;
  /** Routers that were refused until the window's end. */
  readonly denied: Set<number>;
  /** Routers that were told to give back permits. */
  readonly owing: Set<number>;
  askedAt: number;
  /** Since when somebody has waited without a pause. */
  waitingSince: number;
}

export interface BudgetTableOptions {
  now(): number;
  maxCallers: number;
}

/** ms between two searches for callers' windows that have ended. */
const SWEEP_MS = 1_000;
/** ms without a call after which permits are forgotten. */
const IDLE_MS = 3_600_000;

export function createBudgetTable({ now, maxCallers }: BudgetTableOptions) {
  const tenants = new Map<string, Budget>();
  /** The one that was asked for longest ago is the first. */
  const callers = new Map<string, Budget>();
  let sweptAt = 0;

  /** The budget in its present window, made where there is none. */
  function take(spec: BudgetSpec): Budget {
    const budgets = spec.of === null ? callers : tenants;
    let budget = budgets.get(spec.key);
    if (budget === undefined) {
      if (spec.of === null) makeRoom();
      budget = newBudget(spec);
      begin(budget);
    } else if (spec.of === null) callers.delete(spec.key);
    budgets.set(spec.key, budget);
    if (budget.spec.windowMs !== spec.windowMs) {
      budget.spec = spec;
      begin(budget);
    }
    budget.spec = spec;
    roll(budget);
    return budget;
  }

  /** Goes on to the present window. */
  function roll(budget: Budget) {
    if (now() >= budget.endsAt) begin(budget);
  }

  function begin(budget: Budget) {
    const { windowMs, of } = budget.spec;
    budget.startsAt = windowMs === null ? 0 : Math.floor(now() / windowMs) * windowMs;
    budget.endsAt = windowMs === null ? Number.POSITIVE_INFINITY : budget.startsAt + windowMs;
    budget.used = 0;
    budget.elsewhere = 0;
    budget.known = of === null;
    budget.holders.clear();
    budget.denied.clear();
  }

  function makeRoom() {
    if (callers.size < maxCallers) return;
    if (now() - sweptAt >= SWEEP_MS) sweepCallers();
    if (callers.size < maxCallers) return;
    for (const [key, { asks }] of callers) {
      if (asks.size > 0) continue; // somebody waits for it: there are few of those, and they are not old
      callers.delete(key);
      return;
    }
  }

  function sweepCallers() {
    sweptAt = now();
    for (const [key, budget] of callers) if (isOver(budget)) callers.delete(key);
  }

  function isOver({ endsAt, asks }: Budget): boolean {
    return asks.size === 0 && now() >= endsAt;
  }

  return {
    take,
    roll,
    find: (key: string) => tenants.get(key) ?? callers.get(key),
    *all() {
      yield* tenants.values();
      yield* callers.values();
    },
    *ofTenants() {
      for (const budget of tenants.values()) if (now() < budget.endsAt) yield budget;
    },
    sweep() {
      if (now() - sweptAt >= 10 * SWEEP_MS) sweepCallers();
      for (const [key, budget] of tenants) {
        const idle = budget.spec.windowMs === null && budget.used <= 0 && budget.asks.size === 0;
        if (isOver(budget) || (idle && now() - budget.askedAt > IDLE_MS)) tenants.delete(key);
      }
    },
    forgetTenant(tenant: string) {
      for (const [key, { spec }] of tenants) if (spec.of?.tenant === tenant) tenants.delete(key);
    },
    size: () => tenants.size + callers.size,
  };
}

function newBudget(spec: BudgetSpec): Budget {
  return {
    spec,
    startsAt: 0,
    endsAt: 0,
    used: 0,
    elsewhere: 0,
    known: true,
    holders: new Map(),
    asks: new Map(),
    awaited: new Set(),
    recalledAt: 0,
    denied: new Set(),
    owing: new Set(),
    askedAt: 0,
    waitingSince: 0,
  };
}
