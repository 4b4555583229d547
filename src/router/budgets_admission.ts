/** Whether a call is within its tenant's quotas and its caller's rate limit: decided before it becomes a call. */
import { HearthError } from '../errors.js';
import type { FunctionMeta, Tenant } from '../store/types.js';
import type { ToRouter } from '../supervisor/protocol.js';
import { budgetKey } from '../supervisor/protocol.js';
import type { Instruments } from '../telemetry/instruments.js';
import type { Budget, Budgets } from './budgets.js';
import { callerOf, createCallerBudgets, type RateLimit } from './budgets_callers.js';
import { type Policy, rateLimitFields, secondsUntil } from './budgets_fields.js';
import type { Principal } from './principal.js';

/** The quotas of a tenant that its calls are counted against. */
export interface TenantLimits {
  readonly slug: string;
  policies: readonly Policy[];
  /** No calls before that time (Unix ms): the month's CPU is used up. */
  closedUntil: number;
}

/** A call that may go on. */
export interface Admission {
  /** For its answer: names and values by turns. */
  readonly fields: readonly string[];
  /** To be called when the call is over; null where nothing waits for it. */
  readonly release: (() => void) | null;
}

export interface AdmissionOptions {
  budgets: Budgets;
  instruments: Pick<Instruments, 'callsRefused'>;
  now(): number;
}

export type Admissions = ReturnType<typeof createAdmissions>;

const WINDOWS = [
  ['minute', 'calls_per_minute', 60_000],
  ['day', 'calls_per_day', 86_400_000],
  ['concurrent', 'concurrent_calls', null],
] as const;

export function createAdmissions({ budgets, instruments, now }: AdmissionOptions) {
  const callers = createCallerBudgets(budgets);
  const tenants = new Map<string, TenantLimits>();
  const closed = new Map<string, number>();

  /** What the tenant's calls are counted against from now on; null: nothing. */
  function limitsOf({ slug, quotas }: Tenant): TenantLimits | null {
    const policies: Policy[] = [];
    for (const [name, field, windowMs] of WINDOWS) {
      const limit = quotas[field];
      if (limit === undefined) continue;
      const spec = { key: budgetKey(slug, name), limit, windowMs, of: { tenant: slug, quota: name } };
      policies.push({ name, budget: budgets.open(spec) });
    }
    const before = tenants.get(slug);
    for (const { budget } of before?.policies ?? [])
      if (!policies.some((policy) => policy.budget === budget)) budgets.close(budget);
    if (policies.length === 0 && quotas.cpu_seconds_per_month === undefined) {
      tenants.delete(slug);
      return null;
    }
    const limits = { slug, policies, closedUntil: closed.get(slug) ?? 0 };
    tenants.set(slug, limits);
    return limits;
  }

  function forget(slug: string) {
    for (const { budget } of tenants.get(slug)?.policies ?? []) budgets.close(budget);
    tenants.delete(slug);
    closed.delete(slug);
  }

  /**
   * A promise only where the supervisor has to be asked.
   *
   * @throws RATE_LIMITED, QUOTA_EXCEEDED, OVERLOADED, as does the promise.
   */
  function admit(
    limits: TenantLimits | null,
    fn: FunctionMeta,
    rate: RateLimit | null,
    principal: Principal | null,
    address: string,
  ): Admission | Promise<Admission> {
    if (limits !== null && limits.closedUntil > now()) throw monthUsedUp(limits);
    let needed = limits?.policies ?? NONE;
    if (rate !== null) {
      const budget = callers.of(fn.id, rate, callerOf(principal, address));
      needed = [{ name: 'caller', budget }, ...needed];
    }
    // Before anything is taken, so that a flood of refusals moves no token.
    for (const policy of needed) if (budgets.isDenied(policy.budget)) throw refusal(policy, fn);
    for (let at = 0; at < needed.length; at++)
      if (!budgets.take((needed[at] as Policy).budget)) return admitSlowly(needed, at, fn);
    return admitted(needed);
  }

  /** From the first budget on that has nothing here. */
  async function admitSlowly(needed: readonly Policy[], from: number, fn: FunctionMeta): Promise<Admission> {
    const taken = needed.slice(0, from).map(({ budget }) => ({ budget, startsAt: budget.startsAt }));
    try {
      for (let at = from; at < needed.length; at++) {
        const policy = needed[at] as Policy;
        const { budget } = policy;
        const got = budgets.take(budget) || (!budgets.isDenied(budget) && (await budgets.wait(budget)));
        if (!got) throw refusal(policy, fn);
        taken.push({ budget, startsAt: budget.startsAt });
      }
    } catch (error) {
      for (const { budget, startsAt } of taken) budgets.refund(budget, startsAt);
      throw error;
    }
    return admitted(needed);
  }

  function admitted(needed: readonly Policy[]): Admission {
    const last = needed.at(-1);
    const permits = last?.name === 'concurrent' ? last.budget : null;
    const told = needed.some(({ name }) => name === 'caller' || name === 'minute');
    return {
      fields: told ? rateLimitFields(permits === null ? needed : needed.slice(0, -1), now()) : NO_FIELDS,
      release: permits === null ? null : once(() => budgets.give(permits, permits.startsAt)),
    };
  }

  function refusal(policy: Policy, fn: FunctionMeta): HearthError {
    const { name, budget } = policy;
    count(fn.tenant, name);
    return new HearthError(
      name === 'caller' ? 'RATE_LIMITED' : 'QUOTA_EXCEEDED',
      sentence(name, budget, fn),
      {
        retryAfter: name === 'concurrent' ? 1 : secondsUntil(budget.deniedUntil, now()),
        fields: rateLimitFields([policy], now()),
      },
    );
  }

  function monthUsedUp({ slug, closedUntil }: TenantLimits): HearthError {
    count(slug, 'cpu');
    return new HearthError('QUOTA_EXCEEDED', `The tenant ${slug} has used up its CPU time of this month.`, {
      retryAfter: secondsUntil(closedUntil, now()),
    });
  }

  function count(tenant: string, limit: Policy['name'] | 'cpu') {
    instruments.callsRefused.with({ 'hearth.tenant': tenant, 'hearth.limit': limit }).add(1);
  }

  function* tenantBudgets(): Iterable<Budget> {
    for (const { policies } of tenants.values()) for (const { budget } of policies) yield budget;
  }

  return {
    admit,
    limitsOf,
    forget,
    /** What the supervisor says of budgets. Whether it was one of those messages. */
    handle(message: ToRouter): boolean {
      if (message.t !== 'tenant-closed') return budgets.handle(message);
      const { tenant, until } = message;
      if (until > 0) closed.set(tenant, until);
      else closed.delete(tenant);
      const limits = tenants.get(tenant);
      if (limits !== undefined) limits.closedUntil = until;
      return true;
    },
    sweep: () => budgets.sweep(tenantBudgets()),
    stop: budgets.stop,
  };
}

const NONE: readonly Policy[] = [];
const NO_FIELDS: readonly string[] = [];

const PERIODS: Record<number, string> = {
  1000: 'second',
  60000: 'minute',
  3600000: 'hour',
  86400000: 'day',
};

function sentence(name: Policy['name'], { spec }: Budget, fn: FunctionMeta): string {
  const { limit, windowMs } = spec;
  if (name === 'caller') {
    const allowed = `${limit} per ${PERIODS[windowMs ?? 0]}`;
    return `This caller has made as many calls of the function ${fn.name} as one may: ${allowed}.`;
  }
  if (name === 'concurrent')
    return `The tenant ${fn.tenant} has as many calls running as its quota allows: ${limit}.`;
  return `The tenant ${fn.tenant} has made as many calls in this ${name} as its quota allows: ${limit}.`;
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    work();
  };
}
