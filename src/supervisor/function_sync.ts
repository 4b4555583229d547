/** Keeps this node's functions those of the database: loaded at start, told of changes one by one, polled for the rest. */
import type { Store } from '../store/main.js';
import type { FunctionMeta } from '../store/types.js';

export interface FunctionChange {
  changed: FunctionMeta[];
  /** Ids. */
  removed: string[];
  /** These are all there are. */
  complete: boolean;
}

export interface FunctionSync {
  /** A function was changed by this node: resolves when `apply` is done with it. */
  refresh(functionId: string): Promise<void>;
  all(): FunctionMeta[];
  find(functionId: string): FunctionMeta | undefined;
  /** A tenant is gone, or another one has its slug: its functions go without a word each. */
  reconcile(tenant: string): Promise<void>;
  /** Looks for what was missed. */
  poll(): Promise<void>;
  /** Resolves when what was asked for so far is done. */
  settled(): Promise<void>;
}

export interface FunctionSyncOptions {
  store: Store;
  /** Resolves when the change is served everywhere on this node. */
  apply(change: FunctionChange): Promise<void>;
}

export async function startFunctionSync(options: FunctionSyncOptions): Promise<FunctionSync> {
  const { store } = options;
  const known = new Map<string, FunctionMeta>();
  let seq = '0';
  let queue = Promise.resolve();

  /** Changes are applied one after another, so that an older one never overtakes a newer. */
  function inTurn(task: () => Promise<void>): Promise<void> {
    const done = queue.then(task);
    queue = done.catch(() => {}); // whoever asked for it hears of the failure
    return done;
  }

  async function load() {
    const all = await store.functions.changedSince(seq);
    seq = String(all.seq);
    for (const meta of all.changed) known.set(meta.id, meta);
    await options.apply({ changed: all.changed, removed: [], complete: true });
  }

  async function one(functionId: string) {
    const meta = await store.functions.byId(functionId);
    if (meta === null) {
      if (!known.delete(functionId)) return;
      await options.apply({ changed: [], removed: [functionId], complete: false });
      return;
    }
    const before = known.get(functionId);
    if (
      before !== undefined &&
      before.updated_at.getTime() === meta.updated_at.getTime() &&
      before.version === meta.version
    ) {
      return;
    }
    known.set(functionId, meta);
    await options.apply({ changed: [meta], removed: [], complete: false });
  }

  async function reconcile(tenant: string) {
    const present = new Set(await store.functions.ids(tenant));
    const gone = [...known.values()].filter((meta) => meta.tenant === tenant && !present.has(meta.id));
    if (gone.length === 0) return;
    for (const { id } of gone) known.delete(id);
    await options.apply({ changed: [], removed: gone.map(({ id }) => id), complete: false });
  }

  async function poll() {
    const since = await store.functions.changedSince(seq);
    seq = String(since.seq);
    const changed = since.changed.filter(
      (meta) => known.get(meta.id)?.updated_at.getTime() !== meta.updated_at.getTime(),
    );
    const removed = since.removed.filter((id) => known.delete(id));
    for (const meta of changed) known.set(meta.id, meta);
    if (changed.length + removed.length > 0) await options.apply({ changed, removed, complete: false });
  }

  await inTurn(load);

  return {
    refresh: (functionId) => inTurn(() => one(functionId)),
    all: () => [...known.values()],
    find: (functionId) => known.get(functionId),
    reconcile: (tenant) => inTurn(() => reconcile(tenant)),
    poll: () => inTurn(poll),
    settled: () => queue,
  };
}
