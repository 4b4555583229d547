/** What has to happen by the clock: partitions made ahead; executions, windows of quotas and the like dropped in time. */
import { Cron } from 'croner';
import type { Store } from '../store/main.js';

export interface Upkeep {
  stop(): void;
}

/** A deletion that nobody has gone on with for so long was broken off. */
const BROKEN_OFF_MS = 10 * 60_000;

/** ms that due work may wait, for a suspended tenant to be active again. */
const DUE_MS = 24 * 3_600_000;
/** ms that what was given up is kept. */
const DEAD_MS = 14 * 24 * 3_600_000;

/** Makes the next days' partitions now and then hourly; drops what has expired hourly too. Any node may do it. */
export async function startUpkeep(store: Store, onError: (error: unknown) => void): Promise<Upkeep> {
  await store.executions.createPartitions(new Date());
  const job = new Cron('7 * * * *', { protect: true, catch: onError }, async () => {
    await store.executions.createPartitions(new Date());
    // One after another, and whatever becomes of the one before.
    for (const task of [
      () => store.executions.dropExpired(new Date()),
      () => store.tenants.dropDeparted(),
      () => store.functions.dropOldCodeCaches(),
      () => store.usage.dropExpired(),
      () => store.audit.dropExpired(),
      () => store.quotaUse.dropEnded(new Date()),
      () => store.events.expire(new Date(Date.now() - DUE_MS), new Date(Date.now() - DEAD_MS)),
      () => finishDeletions(store),
    ])
      await task().catch(onError);
  });
  return { stop: () => job.stop() };
}

/** Tenants whose deletion was begun by a node or a client that is gone. */
async function finishDeletions({ tenants }: Store): Promise<void> {
  for (const slug of await tenants.unfinishedDeletions(BROKEN_OFF_MS)) await tenants.delete(slug);
}
