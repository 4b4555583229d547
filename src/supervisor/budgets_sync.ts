/**
 * Keeps what this node counts in step with the other nodes, by the database: each second it adds what was admitted here
 * and learns the sums, and writes what it has running and learns what the others have. While the database is away the
 * counts go on, and are added when it is back.
 */
import { randomUUID } from 'node:crypto';
import { isDatabaseAway } from '../store/database_errors.js';
import type { Gauge, QuotaUse, WindowUse } from '../store/quotas.js';
import type { Budget } from './budget_table.js';
import type { Budgets } from './budgets.js';
import type { CpuQuotas } from './budgets_cpu.js';
import { type BudgetSpec, budgetKey } from './protocol.js';

export interface BudgetSyncOptions {
  quotaUse: QuotaUse;
  budgets: Budgets;
  cpu: CpuQuotas;
  /** Tenants with a quota of what runs at once, and what of theirs runs here. */
  running(): Iterable<{ tenant: string; processes: number; memoryMib: number }>;
  /** What the other nodes have running; a tenant that is not among them has nothing. */
  onElsewhere(gauges: ReadonlyMap<string, Gauge>): void;
  now(): number;
  onError(error: unknown): void;
}

export interface BudgetSync {
  /** As soon as possible instead of within a second. */
  soon(): void;
  /** Adds what is left, and takes this node's gauges out. */
  stop(): Promise<void>;
}

const INTERVAL_MS = 1_000;
/** ms after the last question for which a window's sum is asked for although nothing was admitted. */
const INTEREST_MS = 5_000;
const WINDOWS = { minute: 60_000, day: 86_400_000 } as const;

/** What all nodes have admitted so far is known when this resolves. */
export async function startBudgetSync(options: BudgetSyncOptions): Promise<BudgetSync> {
  const { quotaUse, budgets, cpu, now, onError } = options;
  const node = randomUUID();
  /** Tenants of whom the database says that something runs here. */
  const told = new Set<string>();
  let syncing: Promise<void> | null = null;
  let again = false;
  let stopped = false;

  for (const row of await quotaUse.current(new Date(now()))) {
    const startsAt = row.starts_at.getTime();
    if (row.quota === 'month') cpu.learn(row.tenant, startsAt, 0, row.used);
    else budgets.preload(windowSpec(row.tenant, row.quota), row.used);
  }

  async function windows() {
    const rows: WindowUse[] = [];
    const flushed = new Map<Budget, number>();
    for (const budget of budgets.ofTenants()) {
      const { of } = budget.spec;
      if (of === null || of.quota === 'concurrent') continue;
      const asked = now() - budget.askedAt < INTEREST_MS || budget.denied.size > 0;
      if (budget.used === 0 && budget.known && !asked) continue;
      flushed.set(budget, budget.used);
      rows.push({
        tenant: of.tenant,
        quota: of.quota,
        starts_at: new Date(budget.startsAt),
        used: budget.used,
      });
    }
    const seconds = new Map<string, number>();
    for (const { tenant, startsAt, seconds: used } of cpu.pending()) {
      seconds.set(tenant, used);
      rows.push({ tenant, quota: 'month', starts_at: new Date(startsAt), used });
    }
    for (const { tenant, quota, starts_at, used } of await quotaUse.add(rows)) {
      const startsAt = starts_at.getTime();
      if (quota === 'month') {
        cpu.learn(tenant, startsAt, seconds.get(tenant) ?? 0, used);
        continue;
      }
      const budget = budgets.find(budgetKey(tenant, quota));
      if (budget === undefined || budget.startsAt !== startsAt) continue;
      budgets.learn(budget, budget.used - (flushed.get(budget) ?? 0), used);
    }
  }

  async function gauges() {
    const rows = new Map<string, Gauge>();
    const rowOf = (tenant: string): Gauge => {
      const row = rows.get(tenant) ?? { tenant, processes: 0, memory_mib: 0, concurrent_calls: 0 };
      rows.set(tenant, row);
      return row;
    };
    for (const { tenant, processes, memoryMib } of options.running())
      Object.assign(rowOf(tenant), { processes, memory_mib: memoryMib });
    for (const { spec, used } of budgets.ofTenants())
      if (spec.of?.quota === 'concurrent') rowOf(spec.of.tenant).concurrent_calls = used;
    // Nobody has such a quota, and nobody was told of anything.
    if (rows.size === 0 && told.size === 0) return;
    for (const tenant of told) rowOf(tenant);
    const written = [...rows.values()].filter((row) => told.has(row.tenant) || isRunning(row));
    const others = new Map<string, Gauge>();
    for (const gauge of await quotaUse.exchange(node, written)) others.set(gauge.tenant, gauge);
    told.clear();
    for (const row of written) if (isRunning(row)) told.add(row.tenant);
    options.onElsewhere(others);
    for (const budget of budgets.ofTenants()) {
      const { of } = budget.spec;
      if (of?.quota === 'concurrent')
        budgets.learn(budget, budget.used, others.get(of.tenant)?.concurrent_calls ?? 0);
    }
  }

  async function sync() {
    try {
      await windows();
      await gauges();
    } catch (error) {
      // That it is away the health check reports. What was not added is added later; until then this node's own count has to do.
      for (const budget of budgets.ofTenants())
        if (!budget.known) budgets.learn(budget, budget.used, budget.elsewhere);
      if (!isDatabaseAway(error)) onError(error);
    }
  }

  function run(): Promise<void> {
    syncing ??= sync().finally(() => {
      syncing = null;
      if (!again || stopped) return;
      again = false;
      void run();
    });
    return syncing;
  }

  const timer = setInterval(() => void run(), INTERVAL_MS);

  return {
    soon() {
      if (syncing !== null) again = true;
      else setImmediate(() => void run());
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      await syncing;
      await sync();
      await quotaUse.leave(node).catch(() => {}); // a node that is silent does not count for long
    },
  };
}

function isRunning(gauge: Gauge): boolean {
  return gauge.processes > 0 || gauge.concurrent_calls > 0;
}

function windowSpec(tenant: string, quota: 'minute' | 'day'): BudgetSpec {
  const of = { tenant, quota };
  // The limit comes with the first question.
  return { key: budgetKey(tenant, quota), limit: Number.POSITIVE_INFINITY, windowMs: WINDOWS[quota], of };
}
