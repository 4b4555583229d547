/** Which functions have processes here: those of active tenants, and no other ones. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FunctionMeta, Tenant } from '../store/types.js';
import type { Fleet } from './fleet.js';
import type { TenantChange } from './tenant_sync.js';

export interface Served {
  setFunction(fn: FunctionMeta): void;
  applyTenants(change: TenantChange): void;
  /** Resolves when no process of the tenant lives here, or they had their time. */
  drained(tenant: string): Promise<void>;
}

export interface ServedOptions {
  fleet: Pick<Fleet, 'setFunction' | 'stopTenant' | 'instances'>;
  /** All that are known here. */
  functions(): FunctionMeta[];
  tenant(slug: string): Tenant | undefined;
  now(): number;
}

/** ms that calls in flight have when their tenant is deleted. */
const DELETION_GRACE_MS = 10_000;
/** ms for processes to end, beyond that. */
const END_MS = 5_000;
const LOOK_MS = 25;

export function createServed({ fleet, functions, tenant, now }: ServedOptions): Served {
  /** Tenants that are known and may not be served. */
  const stopped = new Set<string>();

  function stop({ slug, status }: Tenant) {
    stopped.add(slug);
    // Of a suspended one the calls in flight finish; a deletion waits for nobody for long.
    const endBy = status === 'deleting' ? now() + DELETION_GRACE_MS : Number.POSITIVE_INFINITY;
    fleet.stopTenant(slug, { code: 'FORBIDDEN', message: `The tenant ${slug} is ${status}.` }, endBy);
  }

  function resume(slug: string) {
    if (!stopped.delete(slug)) return;
    for (const fn of functions()) if (fn.tenant === slug) fleet.setFunction(fn);
  }

  function isAlive(slug: string): boolean {
    for (const { fn } of fleet.instances()) if (fn.tenant === slug) return true;
    return false;
  }

  return {
    setFunction(fn) {
      if (!stopped.has(fn.tenant)) fleet.setFunction(fn);
    },
    applyTenants({ changed, removed }) {
      for (const changedOne of changed) {
        if (changedOne.status === 'active') resume(changedOne.slug);
        else stop(changedOne);
      }
      for (const slug of removed) {
        // Another node may have deleted it, which did not wait for the calls here; those that had a time keep it.
        const endBy = now() + DELETION_GRACE_MS;
        fleet.stopTenant(slug, { code: 'NOT_FOUND', message: 'There is no such tenant.' }, endBy);
        stopped.delete(slug);
      }
    },
    async drained(slug) {
      const until = now() + DELETION_GRACE_MS + END_MS;
      while (isAlive(slug) && tenant(slug)?.status !== 'active' && now() < until) await sleep(LOOK_MS);
    },
  };
}
