/** How much of each tenant may run on this node at once: half of its places, and less where there was none for it. */

export interface Shares {
  /** A call of the tenant was refused, for a quota or a queue that is full, while so many others of it ran or waited here. */
  refused(tenant: string, others: number): void;
  /** Tenants that may have less than others just now, and how much. */
  lowered(): Map<string, number>;
}

/** ms after which one more is tried. */
const STEP_MS = 1_000;

/**
 * What is refused goes back, and the next is claimed: without this, a tenant that has much waiting and little that it may run
 * would have all of it claimed and refused, over and over. It has as much as had room, and one more each second.
 *
 * @param share of a tenant that was not refused anything.
 * @param now ms, steady.
 */
export function createShares(share: number, now: () => number): Shares {
  const refusals = new Map<string, { at: number; had: number }>();
  return {
    refused: (tenant, others) => void refusals.set(tenant, { at: now(), had: others }),
    lowered() {
      const lowered = new Map<string, number>();
      for (const [tenant, { at, had }] of refusals) {
        const may = had + Math.floor((now() - at) / STEP_MS);
        if (may < share) lowered.set(tenant, may);
        else refusals.delete(tenant);
      }
      return lowered;
    },
  };
}
