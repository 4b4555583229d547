/**
 * CPU by tenant and calendar month (UTC), of the tenants that have a quota of it: what their processes use is added up,
 * and a tenant that is over is closed until the month ends.
 */

export interface CpuQuotasOptions {
  now(): number;
  /** Seconds in a month; undefined: no quota. */
  quotaOf(tenant: string): number | undefined;
  /** No calls of the tenant until then (Unix ms); 0: they may be made again. */
  close(tenant: string, until: number): void;
}

export type CpuQuotas = ReturnType<typeof createCpuQuotas>;

interface Month {
  startsAt: number;
  /** Seconds that the database has not been told of yet. */
  pending: number;
  /** Seconds of all nodes, as the database tells. */
  total: number;
  closedUntil: number;
}

export function createCpuQuotas({ now, quotaOf, close }: CpuQuotasOptions) {
  const months = new Map<string, Month>();
  /** Process → ms of CPU that have been counted. */
  const processes = new Map<number, number>();

  function monthOf(tenant: string): Month {
    const startsAt = monthStart(now());
    let month = months.get(tenant);
    if (month === undefined || month.startsAt !== startsAt) {
      month = { startsAt, pending: 0, total: 0, closedUntil: 0 };
      months.set(tenant, month);
    }
    return month;
  }

  /** Closes or opens the tenant, where that has changed. */
  function judge(tenant: string, month: Month) {
    const quota = quotaOf(tenant);
    const over = quota !== undefined && month.total + month.pending >= quota;
    const until = over ? monthEnd(month.startsAt) : 0;
    if (until === month.closedUntil) return;
    month.closedUntil = until;
    close(tenant, until);
  }

  return {
    /** A process of the tenant has used so many ms of CPU since it started. What it used before the first time is the platform's. */
    sampled(process: number, tenant: string, cpuMs: number) {
      const before = processes.get(process);
      processes.set(process, cpuMs);
      if (before === undefined || cpuMs <= before || quotaOf(tenant) === undefined) return;
      const month = monthOf(tenant);
      month.pending += (cpuMs - before) / 1000;
      judge(tenant, month);
    },
    /** The process is gone: what it used since the last sample, a second's worth at most, is not counted. */
    forget: (process: number) => void processes.delete(process),
    /** The tenant's quota may be another one now. */
    changed(tenant: string) {
      const month = months.get(tenant);
      if (quotaOf(tenant) !== undefined) judge(tenant, monthOf(tenant));
      else if (month !== undefined) {
        months.delete(tenant);
        if (month.closedUntil > 0) close(tenant, 0);
      }
    },
    /** Seconds of this month, over all nodes as far as is known here. */
    used(tenant: string): number {
      const month = months.get(tenant);
      return month?.startsAt === monthStart(now()) ? month.total + month.pending : 0;
    },
    *pending(): Iterable<{ tenant: string; startsAt: number; seconds: number }> {
      for (const [tenant, { startsAt, pending }] of months) {
        // With nothing to add too: other nodes' processes work as well.
        if (startsAt === monthStart(now())) yield { tenant, startsAt, seconds: pending };
        else months.delete(tenant);
      }
    },
    /** `flushed` seconds have been added to the sum of all nodes, which is `total` now. */
    learn(tenant: string, startsAt: number, flushed: number, total: number) {
      if (quotaOf(tenant) === undefined) return;
      const month = monthOf(tenant);
      if (month.startsAt !== startsAt) return;
      month.pending = Math.max(0, month.pending - flushed);
      month.total = total;
      judge(tenant, month);
    },
    *closed(): Iterable<{ tenant: string; until: number }> {
      for (const [tenant, { closedUntil }] of months)
        if (closedUntil > now()) yield { tenant, until: closedUntil };
    },
  };
}

/** Unix ms of the month that the time lies in. */
export function monthStart(time: number): number {
  const date = new Date(time);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}

function monthEnd(startsAt: number): number {
  const date = new Date(startsAt);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
