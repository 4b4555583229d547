/**
 * The tokens that this router holds of quotas and rate limits, so that a call spends one without asking anybody. Where
 * there is none, the calls that wait are asked for in one message; once refused, a window is refused here until it ends.
 */
import { HearthError } from '../errors.js';
import type { BudgetSpec, ToRouter, ToSupervisor } from '../supervisor/protocol.js';

export interface BudgetsOptions {
  send(message: ToSupervisor): void;
  now(): number;
}

interface Waiter {
  settle(taken: boolean): void;
  fail(error: HearthError): void;
}

/** What is left of one budget, as this router knows it. */
export class Budget {
  spec: BudgetSpec;
  tokens = 0;
  /** Granted and not given back: `tokens` and, of permits, those of calls that run. */
  held = 0;
  /** Permits of calls that run that go back when these are over. */
  owed = 0;
  /** Unix ms: the window that the tokens are of; 0 and infinity for permits. */
  startsAt = 0;
  endsAt = 0;
  /** What the supervisor had besides, when it last granted some. */
  left = 0;
  /** Nothing is to be had before that time, Unix ms. */
  deniedUntil = 0;
  /** Tokens spent, and the fewest that were idle, since the last sweep. */
  spent = 0;
  leastIdle = 0;
  /** When the supervisor was asked, Unix ms; 0: it is not being asked. */
  askedAt = 0;
  /** How many of those that wait it was asked for: the first ones. */
  included = 0;
  waiting: Waiter[] = [];
  /** Nobody takes from it any more; permits of calls that run go straight back. */
  gone = false;

  constructor(spec: BudgetSpec) {
    this.spec = spec;
  }
}

export type Budgets = ReturnType<typeof createBudgets>;

/** ms that a call waits for the supervisor's word. */
const PATIENCE_MS = 5_000;

export function createBudgets({ send, now }: BudgetsOptions) {
  const budgets = new Map<string, Budget>();
  /** Those with calls that wait. */
  const asking = new Set<Budget>();

  /** The budget of that name. Another limit than before: what is held goes back, and a refusal no longer counts. */
  function open(spec: BudgetSpec): Budget {
    let budget = budgets.get(spec.key);
    if (budget === undefined) {
      budget = new Budget(spec);
      budgets.set(spec.key, budget);
      return budget;
    }
    if (budget.spec.limit !== spec.limit || budget.spec.windowMs !== spec.windowMs) {
      putBack(budget, budget.tokens);
      budget.deniedUntil = 0;
      // The next calls ask anew, under the new limit.
      if (spec.windowMs === null) budget.owed = budget.held;
    }
    budget.spec = spec;
    return budget;
  }

  /** There is no such limit any more: what waits may go. */
  function close(budget: Budget) {
    if (budget.gone) return;
    budget.gone = true;
    putBack(budget, budget.tokens);
    budgets.delete(budget.spec.key);
    asking.delete(budget);
    for (const waiter of budget.waiting.splice(0)) waiter.settle(true);
  }

  /** Whether there was a token; the hot path. */
  function take(budget: Budget): boolean {
    if (budget.tokens <= 0 || now() >= budget.endsAt) return false;
    budget.tokens--;
    budget.spent++;
    if (budget.tokens < budget.leastIdle) budget.leastIdle = budget.tokens;
    return true;
  }

  /** Whether this router has none and knows that there is none to be had. */
  const isDenied = (budget: Budget) =>
    budget.deniedUntil > now() && (budget.tokens <= 0 || now() >= budget.endsAt);

  /** Whether a token was taken, once the supervisor has said so. @throws OVERLOADED when it does not answer in time. */
  function wait(budget: Budget): Promise<boolean> {
    return new Promise((settle, fail) => {
      budget.waiting.push({ settle, fail });
      asking.add(budget);
      if (budget.askedAt === 0) ask(budget);
    });
  }

  function ask(budget: Budget) {
    budget.askedAt = now();
    budget.included = budget.waiting.length;
    send({ t: 'budget-ask', spec: budget.spec, wanted: budget.included });
  }

  /**
   * A token that was taken is not needed. Where the supervisor had no others it goes there: another router may have been
   * refused for the want of it. `startsAt`: of the window that it was taken in.
   */
  function refund(budget: Budget, startsAt: number) {
    give(budget, startsAt);
    const isLast = budget.left === 0 && budget.waiting.length === 0 && !budget.gone;
    if (isLast && budget.startsAt === startsAt && budget.tokens > 0) putBack(budget, 1);
  }

  /** A token comes back: a permit, when its call is over. */
  function give(budget: Budget, startsAt: number) {
    if (budget.startsAt !== startsAt) return;
    budget.tokens++;
    if (budget.gone) return putBack(budget, 1);
    if (budget.owed > 0) {
      budget.owed--;
      return putBack(budget, 1);
    }
    if (budget.spec.windowMs !== null) budget.spent--;
    if (budget.waiting.length > 0) serve(budget);
  }

  /** Tokens to those that wait, and a question for the rest. */
  function serve(budget: Budget) {
    let served = 0;
    for (; served < budget.waiting.length && take(budget); served++) budget.waiting[served]?.settle(true);
    budget.waiting.splice(0, served);
    budget.included = Math.max(0, budget.included - served);
    askOn(budget);
  }

  function askOn(budget: Budget) {
    if (budget.waiting.length === 0) asking.delete(budget);
    else if (budget.askedAt === 0) ask(budget);
  }

  function putBack(budget: Budget, tokens: number, recalled = false) {
    budget.tokens -= tokens;
    budget.held -= tokens;
    if (tokens > 0 || recalled)
      send({ t: 'budget-return', rows: [[budget.spec.key, budget.startsAt, tokens]], recalled });
  }

  function handle(message: ToRouter): boolean {
    switch (message.t) {
      case 'budget-grant': {
        const { key, startsAt, tokens } = message;
        const budget = budgets.get(key);
        if (budget === undefined) {
          send({ t: 'budget-return', rows: [[key, startsAt, tokens]], recalled: false });
          return true;
        }
        if (budget.startsAt !== startsAt) budget.tokens = budget.held = 0;
        budget.startsAt = startsAt;
        budget.endsAt = message.until ?? Number.POSITIVE_INFINITY;
        budget.tokens += tokens;
        budget.held += tokens;
        budget.left = message.left;
        budget.deniedUntil = 0;
        budget.askedAt = 0;
        serve(budget);
        return true;
      }
      case 'budget-deny': {
        const budget = budgets.get(message.key);
        if (budget === undefined) return true;
        const { until } = message;
        budget.askedAt = 0;
        budget.left = 0;
        if (until !== null) budget.deniedUntil = until;
        // A permit may have come back since the question: it was for these, not for those that came later.
        const refused = budget.waiting.splice(0, until === null ? budget.included : budget.waiting.length);
        for (const waiter of refused) waiter.settle(false);
        askOn(budget);
        return true;
      }
      case 'budget-recall': {
        const budget = budgets.get(message.key);
        if (budget !== undefined) putBack(budget, budget.tokens, true);
        else send({ t: 'budget-return', rows: [[message.key, 0, 0]], recalled: true });
        return true;
      }
      case 'budget-owe': {
        const budget = budgets.get(message.key);
        if (budget === undefined) return true;
        const idle = Math.min(budget.tokens, message.permits);
        putBack(budget, idle);
        budget.owed = message.permits - idle;
        return true;
      }
      case 'budget-open': {
        const budget = budgets.get(message.key);
        if (budget !== undefined) budget.deniedUntil = 0;
        return true;
      }
      default:
        return false;
    }
  }

  /**
   * Called every second: gives back of tenants' budgets what has not been used lately, which other nodes count as used;
   * refuses what has waited too long.
   */
  function sweep(tenants: Iterable<Budget>) {
    const rows: [key: string, startsAt: number, tokens: number][] = [];
    for (const budget of tenants) {
      const { spec, tokens } = budget;
      const spare = spec.windowMs === null ? budget.leastIdle : Math.max(0, tokens - budget.spent);
      const idle = Math.min(spare, tokens);
      if (idle > 0 && now() < budget.endsAt) {
        budget.tokens -= idle;
        budget.held -= idle;
        budget.left += idle;
        rows.push([spec.key, budget.startsAt, idle]);
      }
      budget.spent = 0;
      budget.leastIdle = budget.tokens;
    }
    if (rows.length > 0) send({ t: 'budget-return', rows, recalled: false });
    for (const budget of asking) {
      if (budget.askedAt === 0 || now() - budget.askedAt < PATIENCE_MS) continue;
      budget.askedAt = 0;
      asking.delete(budget);
      const error = new HearthError(
        'OVERLOADED',
        'The platform is too busy to count this call. Try again shortly.',
        {
          retryAfter: 1,
        },
      );
      for (const waiter of budget.waiting.splice(0)) waiter.fail(error);
    }
  }

  /** The router stops: what it has not spent goes back. */
  function stop() {
    for (const budget of budgets.values()) if (now() < budget.endsAt) putBack(budget, budget.tokens);
  }

  return { open, close, take, isDenied, wait, give, refund, handle, sweep, stop };
}
