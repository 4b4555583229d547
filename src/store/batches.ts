/** Deletions without end in short statements. */
import type { Queries } from './connection.js';

/** Says it again until fewer than `limit` rows, which is what one statement deletes at most, were left. @returns how many. */
export async function inBatches(limit: number, remove: () => ReturnType<Queries>): Promise<number> {
  let total = 0;
  for (;;) {
    const { count } = await remove();
    total += count;
    if (count < limit) return total;
  }
}
