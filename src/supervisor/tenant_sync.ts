/** Keeps this node's tenants those of the database: loaded at start, told by NOTIFY, polled slowly as the net below. */
import type { Tenants, TenantWithSecrets } from '../store/tenants.js';

export interface TenantChange {
  changed: TenantWithSecrets[];
  /** Slugs. */
  removed: string[];
  /** These are all there are. */
  complete: boolean;
}

export interface TenantSync {
  bySlug(slug: string): TenantWithSecrets | undefined;
  all(): TenantWithSecrets[];
  /** One was changed: resolves when `apply` is done with it. */
  refresh(slug: string): Promise<void>;
  /** Looks at all of them for what was missed. */
  poll(): Promise<void>;
  /** Resolves when what was asked for so far is done. */
  settled(): Promise<void>;
}

export interface TenantSyncOptions {
  tenants: Tenants;
  /** Resolves when the change is known everywhere on this node. */
  apply(change: TenantChange): Promise<void>;
  /** The tenant of that slug is gone; another one may have it now. */
  onGone(slug: string): Promise<void>;
}

export async function startTenantSync({ tenants, apply, onGone }: TenantSyncOptions): Promise<TenantSync> {
  const known = new Map<string, TenantWithSecrets>();
  let queue = Promise.resolve();

  /** Changes are applied one after another, so that an older one never overtakes a newer. */
  function inTurn(task: () => Promise<void>): Promise<void> {
    const done = queue.then(task);
    queue = done.catch(() => {}); // whoever asked for it hears of the failure
    return done;
  }

  async function one(slug: string) {
    const tenant = await tenants.bySlug(slug);
    const before = known.get(slug);
    if (before !== undefined && before.created_at.getTime() !== tenant?.created_at.getTime()) {
      await apply({ changed: [], removed: [slug], complete: false });
      await onGone(slug);
      known.delete(slug); // not before: where this fails, the next poll tries again
    }
    if (tenant === null || before?.updated_at.getTime() === tenant.updated_at.getTime()) return;
    known.set(slug, tenant);
    await apply({ changed: [tenant], removed: [], complete: false });
  }

  async function poll() {
    const stamps = await tenants.stamps();
    for (const slug of new Set([...known.keys(), ...stamps.keys()]))
      if (known.get(slug)?.updated_at.getTime() !== stamps.get(slug)) await one(slug);
  }

  for (const tenant of await tenants.all()) known.set(tenant.slug, tenant);
  await apply({ changed: [...known.values()], removed: [], complete: true });

  return {
    bySlug: (slug) => known.get(slug),
    all: () => [...known.values()],
    refresh: (slug) => inTurn(() => one(slug)),
    poll: () => inTurn(poll),
    settled: () => queue,
  };
}
