/** What has to happen by the clock: partitions made ahead, executions dropped after their retention. */
import { Cron } from 'croner';
import type { Store } from '../store/main.js';

export interface Upkeep {
  stop(): void;
}

/** Makes the next days' partitions now and then hourly; drops what has expired hourly too. Any node may do it. */
export async function startUpkeep(store: Store, onError: (error: unknown) => void): Promise<Upkeep> {
  await store.executions.createPartitions(new Date());
  const job = new Cron('7 * * * *', { protect: true, catch: onError }, async () => {
    await store.executions.createPartitions(new Date());
    await store.executions.dropExpired(new Date());
  });
  return { stop: () => job.stop() };
}
