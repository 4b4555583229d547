/**
 * The counts behind quotas and rate limits of calls: routers take tokens here in batches and spend them by themselves.
 * Where none are left, those that routers hold unspent are recalled before anybody is refused, so that over the routers
 * of a node a limit is exact. It holds state and decides; sending is its action, and time is given.
 */
import { type Budget, createBudgetTable } from './budget_table.js';
import type { BudgetSpec, ToRouter } from './protocol.js';

export interface BudgetsOptions {
  now(): number;
  send(router: number, message: ToRouter): void;
  routers(): number;
  /** Calls wait to learn what other nodes have admitted in a window that has begun: `learn` is to follow. */
  onUnknown?(): void;
  /** Callers counted at once; for tests. */
  maxCallers?: number;
}

export type Budgets = ReturnType<typeof createBudgets>;

/** One router gets at most this share of what is left for it: the batches shrink as the end comes near. */
const SHARE = 4;
const MAX_BATCH = 1_000;
/** ms after which a router that does not answer counts as having nothing to give back. */
const RECALL_MS = 1_000;
/** ms that calls wait to learn what other nodes have admitted; then this node's own count has to do. */
const LEARN_MS = 250;

export function createBudgets(options: BudgetsOptions) {
  const { send, now } = options;
  const table = createBudgetTable({ now, maxCallers: options.maxCallers ?? 20_000 });
  /** Those that wait for routers' answers. */
  const recalling = new Set<Budget>();

  /** Calls at a router wait for tokens. */
  function ask(router: number, spec: BudgetSpec, wanted: number) {
    const budget = table.take(spec);
    budget.askedAt = now();
    if (budget.asks.size === 0) budget.waitingSince = now();
    budget.asks.set(router, { wanted, tried: false });
    settle(budget);
    reclaim(budget);
  }

  /** Grants what there is; recalls where there is nothing; refuses where that brought nothing either. */
  function settle(budget: Budget) {
    table.roll(budget);
    // A moment only: see `tick`.
    if (!budget.known) return options.onUnknown?.();
    grantAll(budget);
    if (budget.asks.size === 0) {
      budget.awaited.clear();
      recalling.delete(budget);
      open(budget);
      return;
    }
    if (budget.awaited.size > 0) return;
    recalling.delete(budget);
    for (const [router, { tried }] of budget.asks) if (tried) deny(budget, router);
    if (budget.asks.size > 0) recall(budget);
  }

  function grantAll(budget: Budget) {
    for (const [router, { wanted }] of budget.asks) {
      const left = remaining(budget);
      if (left < 1) return;
      const tokens = batch(left, wanted);
      budget.used += tokens;
      budget.holders.set(router, (budget.holders.get(router) ?? 0) + tokens);
      budget.asks.delete(router);
      budget.denied.delete(router);
      const { spec, startsAt } = budget;
      const until = spec.windowMs === null ? null : budget.endsAt;
      send(router, { t: 'budget-grant', key: spec.key, startsAt, until, tokens, left: left - tokens });
    }
  }

  function batch(left: number, wanted: number): number {
    const share = Math.ceil(left / (SHARE * Math.max(1, options.routers())));
    return Math.min(left, Math.max(wanted, Math.min(share, MAX_BATCH)));
  }

  /** Asks everyone who may hold some. What is asked for from now on has a round of its own. */
  function recall(budget: Budget) {
    const [first] = budget.asks.keys();
    // A router asks when it has none: where it is the only one, it need not be asked.
    const sole = budget.asks.size === 1 ? first : undefined;
    for (const ask of budget.asks.values()) ask.tried = true;
    for (const [router, tokens] of budget.holders)
      if (tokens > 0 && router !== sole) budget.awaited.add(router);
    budget.recalledAt = now();
    if (budget.awaited.size === 0) return settle(budget);
    recalling.add(budget);
    for (const router of budget.awaited) send(router, { t: 'budget-recall', key: budget.spec.key });
  }

  function deny(budget: Budget, router: number) {
    const { spec, endsAt } = budget;
    budget.asks.delete(router);
    if (spec.windowMs !== null) budget.denied.add(router);
    send(router, { t: 'budget-deny', key: spec.key, until: spec.windowMs === null ? null : endsAt });
  }

  /** Who was refused until the window's end need not wait for it. */
  function open(budget: Budget) {
    if (budget.denied.size === 0 || remaining(budget) < 1) return;
    for (const router of budget.denied) send(router, { t: 'budget-open', key: budget.spec.key });
    budget.denied.clear();
  }

  /** Another node, or a lower limit, leaves room for fewer permits than are out: the routers use them again otherwise. */
  function reclaim(budget: Budget) {
    const { spec, holders, owing } = budget;
    let over = spec.windowMs === null ? Math.max(0, -remaining(budget)) : 0;
    if (over === 0 && owing.size === 0) return;
    for (const [router, held] of holders) {
      const permits = Math.min(over, held);
      over -= permits;
      if (permits === 0 && !owing.delete(router)) continue;
      if (permits > 0) owing.add(router);
      send(router, { t: 'budget-owe', key: spec.key, permits });
    }
  }

  function giveBack(
    router: number,
    rows: readonly (readonly [key: string, startsAt: number, tokens: number])[],
    recalled: boolean,
  ) {
    for (const [key, startsAt, tokens] of rows) {
      const budget = table.find(key);
      if (budget === undefined) continue;
      if (budget.startsAt === startsAt) {
        const held = budget.holders.get(router) ?? 0;
        const returned = Math.min(held, tokens);
        if (held === returned) {
          budget.holders.delete(router);
          budget.owing.delete(router);
        } else budget.holders.set(router, held - returned);
        budget.used -= returned;
      }
      if (recalled) budget.awaited.delete(router);
      settle(budget);
    }
  }

  /**
   * A router died. Permits end with its calls; of the tokens of a window nobody knows which were spent, so all of them
   * count as spent.
   */
  function routerGone(router: number) {
    for (const budget of table.all()) {
      const held = budget.holders.get(router) ?? 0;
      const asked = budget.asks.delete(router);
      const awaited = budget.awaited.delete(router);
      budget.holders.delete(router);
      budget.denied.delete(router);
      budget.owing.delete(router);
      if (budget.spec.windowMs === null) budget.used -= held;
      if (held > 0 || asked || awaited) settle(budget);
    }
  }

  /** Called several times a second. */
  function tick() {
    for (const budget of table.ofTenants()) {
      if (budget.known || budget.asks.size === 0 || now() - budget.waitingSince < LEARN_MS) continue;
      budget.known = true;
      settle(budget);
    }
    for (const budget of recalling) {
      if (now() - budget.recalledAt < RECALL_MS) continue;
      budget.awaited.clear();
      settle(budget);
    }
    table.sweep();
  }

  /** What is used by the others, or by all, was learned: who was refused may have tokens again. */
  function learn(budget: Budget, used: number, elsewhere: number) {
    budget.used = used;
    budget.elsewhere = elsewhere;
    budget.known = true;
    settle(budget);
    reclaim(budget);
  }

  return {
    ask,
    giveBack,
    routerGone,
    tick,
    learn,
    /** Tenants' budgets, of the windows that are now. */
    ofTenants: () => table.ofTenants(),
    find: (key: string) => table.find(key),
    /** What is known of a tenant's window before anybody has asked. */
    preload: (spec: BudgetSpec, elsewhere: number) => {
      const budget = table.take(spec);
      budget.elsewhere = elsewhere;
      budget.known = true;
    },
    forgetTenant: (tenant: string) => table.forgetTenant(tenant),
    size: () => table.size(),
  };
}

function remaining({ spec, used, elsewhere }: Budget): number {
  return Math.floor(spec.limit - used - elsewhere);
}
