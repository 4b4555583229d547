/** Keeps what this node holds in memory that of the database: tenants, and their functions. */
import type { Store } from '../store/main.js';
import { type FunctionSync, type FunctionSyncOptions, startFunctionSync } from './function_sync.js';
import { startTenantSync, type TenantSync, type TenantSyncOptions } from './tenant_sync.js';

export interface Sync {
  readonly functions: FunctionSync;
  readonly tenants: TenantSync;
  stop(): Promise<void>;
}

export interface SyncOptions {
  store: Store;
  applyFunctions: FunctionSyncOptions['apply'];
  applyTenants: TenantSyncOptions['apply'];
  /** A key was changed or removed: its SHA-256, hex; null: any may have been. */
  onKey(hash: string | null): void;
  onError(error: unknown): void;
}

const POLL_MS = 15_000;

/** Tenants come first: a function's process needs what its tenant says. */
export async function startSync(options: SyncOptions): Promise<Sync> {
  const { store, onError } = options;
  let functions: FunctionSync | null = null;
  const tenants = await startTenantSync({
    tenants: store.tenants,
    apply: options.applyTenants,
    async onGone(slug) {
      await functions?.reconcile(slug);
    },
  });
  functions = await startFunctionSync({ store, apply: options.applyFunctions });
  const known = functions;
  const poll = () => Promise.all([tenants.poll(), known.poll()]);
  const listening = await store.notifications.listen({
    onFunction: (id) => void known.refresh(id).catch(onError),
    onTenant: (slug) => void tenants.refresh(slug).catch(onError),
    onKey: options.onKey,
    // What was changed while the connection was away was not heard of.
    onReconnect() {
      options.onKey(null);
      poll().catch(onError);
    },
  });
  const timer = setInterval(() => void poll().catch(() => {}), POLL_MS); // the health check reports an absent database

  return {
    functions: known,
    tenants,
    async stop() {
      clearInterval(timer);
      await listening.stop();
      await Promise.all([tenants.settled(), known.settled()]);
    },
  };
}
