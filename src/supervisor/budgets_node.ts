/** Quotas on this node: what routers ask of them, what the fleet may start, and what is told to the other nodes. */
import type { Gauge, QuotaUse } from '../store/quotas.js';
import type { Quotas } from '../store/types.js';
import { createBudgets } from './budgets.js';
import { createCpuQuotas } from './budgets_cpu.js';
import { type BudgetSync, startBudgetSync } from './budgets_sync.js';
import type { ProcessQuota } from './fleet/scaling.js';
import { budgetKey, type ToRouter, type ToSupervisor } from './protocol.js';

export interface NodeQuotasOptions {
  quotaUse: QuotaUse;
  quotasOf(tenant: string): Quotas | undefined;
  /** What of a tenant's runs here. */
  shareOf(tenant: string): { processes: number; memoryMib: number; functions: number } | undefined;
  routers: {
    send(router: number, message: ToRouter): void;
    broadcast(message: ToRouter): void;
    ids(): number[];
  };
  now(): number;
  onError(error: unknown): void;
}

export type NodeQuotas = ReturnType<typeof createNodeQuotas>;

/** The quotas whose use is known without asking the database. */
export const MEASURED = [
  'calls_per_minute',
  'calls_per_day',
  'concurrent_calls',
  'live_processes',
  'memory_mib',
  'functions',
  'cpu_seconds_per_month',
] as const satisfies readonly (keyof Quotas)[];
export type Measured = (typeof MEASURED)[number];

type BudgetMessage = Extract<ToSupervisor, { t: 'budget-ask' | 'budget-return' }>;

export function createNodeQuotas(options: NodeQuotasOptions) {
  const { routers, quotasOf, shareOf, now } = options;
  let sync: BudgetSync | null = null;
  /** Tenants with a quota of processes or of their memory. */
  const limited = new Set<string>();
  let elsewhere: ReadonlyMap<string, Gauge> = new Map();

  const budgets = createBudgets({
    now,
    send: routers.send,
    routers: () => routers.ids().length,
    onUnknown: () => sync?.soon(),
  });
  const cpu = createCpuQuotas({
    now,
    quotaOf: (tenant) => quotasOf(tenant)?.cpu_seconds_per_month,
    close: (tenant, until) => routers.broadcast({ t: 'tenant-closed', tenant, until }),
  });

  function* running() {
    for (const tenant of limited) {
      const { processes = 0, memoryMib = 0 } = shareOf(tenant) ?? {};
      yield { tenant, processes, memoryMib };
    }
  }

  /** Calls of the window that is now, or calls that run: those that routers may still admit unasked among them. */
  function calls(tenant: string, name: 'minute' | 'day' | 'concurrent'): number {
    const budget = budgets.find(budgetKey(tenant, name));
    return budget === undefined || now() >= budget.endsAt ? 0 : budget.used + budget.elsewhere;
  }

  return {
    /** What is used of a tenant's quotas, over all nodes as far as is known here, by the quotas' names. */
    used(tenant: string): Readonly<Record<Measured, number>> {
      const share = shareOf(tenant);
      const others = elsewhere.get(tenant);
      return {
        calls_per_minute: calls(tenant, 'minute'),
        calls_per_day: calls(tenant, 'day'),
        concurrent_calls: calls(tenant, 'concurrent'),
        live_processes: (share?.processes ?? 0) + (others?.processes ?? 0),
        memory_mib: (share?.memoryMib ?? 0) + (others?.memory_mib ?? 0),
        functions: share?.functions ?? 0,
        cpu_seconds_per_month: cpu.used(tenant),
      };
    },
    /** Loads what was used before, so that a restart forgets nothing. Call it once the tenants are known. */
    async start() {
      sync = await startBudgetSync({
        quotaUse: options.quotaUse,
        budgets,
        cpu,
        running,
        onElsewhere: (gauges) => {
          elsewhere = gauges;
        },
        now,
        onError: options.onError,
      });
    },
    handle(router: number, message: BudgetMessage) {
      if (message.t === 'budget-ask') budgets.ask(router, message.spec, message.wanted);
      else budgets.giveBack(router, message.rows, message.recalled);
    },
    /** What a new router has to know before it serves. */
    routerUp(send: (message: ToRouter) => void) {
      for (const { tenant, until } of cpu.closed()) send({ t: 'tenant-closed', tenant, until });
    },
    routerGone: budgets.routerGone,
    tenantChanged(tenant: string) {
      const { live_processes, memory_mib } = quotasOf(tenant) ?? {};
      if (live_processes !== undefined || memory_mib !== undefined) limited.add(tenant);
      else limited.delete(tenant);
      cpu.changed(tenant);
    },
    tenantRemoved(tenant: string) {
      limited.delete(tenant);
      budgets.forgetTenant(tenant);
      cpu.changed(tenant);
    },
    /** Null: no quota. */
    processQuota(tenant: string): ProcessQuota | null {
      if (!limited.has(tenant)) return null;
      const { live_processes = Infinity, memory_mib = Infinity } = quotasOf(tenant) ?? {};
      const { processes = 0, memory_mib: memoryMib = 0 } = elsewhere.get(tenant) ?? {};
      return { processes: live_processes, memoryMib: memory_mib, elsewhere: { processes, memoryMib } };
    },
    sampled: cpu.sampled,
    processEnded: cpu.forget,
    tick: budgets.tick,
    async stop() {
      await sync?.stop();
    },
  };
}
