/** What tenants have and may have, as gauges: their processes, and their quotas with what is used of each. */
import type { Quotas } from '../store/types.js';
import { type Instruments, type QuotaAttributes, tenantAttributes } from '../telemetry/instruments.js';
import { MEASURED, type Measured } from './budgets_node.js';
import type { TenantShare } from './fleet/tenant_shares.js';

export interface TenantUse {
  /** Of tenants that have a function or a process. */
  shares: Iterable<Pick<TenantShare, 'tenant' | 'processes' | 'memoryMib'>>;
  quotas: Iterable<{ slug: string; quotas: Quotas }>;
  used(tenant: string): Readonly<Record<Measured, number>>;
}

/** Tenants whose quotas are shown: with seven quotas each, they stay below an instrument's cap of series. */
const MAX_TENANTS = 280;
const MIB = 1024 * 1024;

export function createTenantGauges(
  instruments: Pick<Instruments, 'tenantProcesses' | 'tenantMemory' | 'quotaLimit' | 'quotaUsed'>,
) {
  const { tenantProcesses, tenantMemory, quotaLimit, quotaUsed } = instruments;
  let running = new Set<string>();
  let limited = new Map<string, QuotaAttributes>();

  function setRunning(shares: TenantUse['shares']) {
    const now = new Set<string>();
    for (const { tenant, processes, memoryMib } of shares) {
      // One that has had none is not shown: there may be many of them.
      if (processes === 0 && !running.has(tenant)) continue;
      now.add(tenant);
      tenantProcesses.with(tenantAttributes(tenant)).set(processes);
      tenantMemory.with(tenantAttributes(tenant)).set(memoryMib * MIB);
    }
    for (const tenant of running) {
      if (now.has(tenant)) continue;
      tenantProcesses.release(tenantAttributes(tenant));
      tenantMemory.release(tenantAttributes(tenant));
    }
    running = now;
  }

  function setQuotas({ quotas: tenants, used: usedOf }: TenantUse) {
    const now = new Map<string, QuotaAttributes>();
    let shown = 0;
    for (const { slug, quotas } of tenants) {
      if (MEASURED.every((quota) => quotas[quota] === undefined)) continue;
      if (++shown > MAX_TENANTS) break;
      const used = usedOf(slug);
      for (const quota of MEASURED) {
        const limit = quotas[quota];
        if (limit === undefined) continue;
        const attributes = { ...tenantAttributes(slug), 'hearth.quota': quota };
        now.set(`${quota} ${slug}`, attributes);
        quotaLimit.with(attributes).set(limit);
        quotaUsed.with(attributes).set(used[quota]);
      }
    }
    for (const [key, attributes] of limited) {
      if (now.has(key)) continue;
      quotaLimit.release(attributes);
      quotaUsed.release(attributes);
    }
    limited = now;
  }

  return {
    set(use: TenantUse) {
      setRunning(use.shares);
      setQuotas(use);
    },
  };
}
