/** Whether there is room for one more process, and which one makes some where there is none. */
import type { Draining } from './draining.js';
import type { Instance } from './instance.js';
import type { Keeping } from './keeping.js';
import type { FleetOptions } from './options.js';
import { isIdle, whoGivesWay } from './scaling.js';
import type { FleetState, FunctionState } from './state.js';

/** ms between two searches for a process that can make room. */
export const SEARCH_MS = 50;

export type Room = ReturnType<typeof createRoom>;

interface Parts {
  fleet: FleetState;
  keeping: Keeping;
  draining: Draining;
}

export function createRoom(
  { now, maxInstances }: Pick<FleetOptions, 'now' | 'maxInstances'>,
  { fleet, keeping, draining }: Parts,
) {
  let searchedAt = Number.NEGATIVE_INFINITY;

  /** Whether the node has no room for another process of the function. */
  function isFull({ kept }: FunctionState): boolean {
    return fleet.instances.size >= maxInstances || !keeping.hasRoomFor(kept);
  }

  /** The node is full: a process of a tenant that has more than its share gives way, else one that is idle. */
  function make({ share: waiting }: FunctionState) {
    if (now() - searchedAt < SEARCH_MS) return;
    searchedAt = now();
    const { instances, shares } = fleet;
    const victim = whoGivesWay({
      now: now(),
      // Where memory is what is full, the node can have what it has.
      limit: Math.min(maxInstances, instances.size),
      waiting,
      shares: shares.all(),
      processes: [...instances.values()].map((instance) => ({ instance, share: shares.of(instance.fn) })),
    });
    if (victim !== null) evict(victim);
  }

  /** The tenant may have no more: the idle process of another function of its own that is worth the least makes room. */
  function makeInTenant({ fn, share }: FunctionState) {
    if (now() - share.searchedAt < SEARCH_MS) return;
    share.searchedAt = now();
    let victim: Instance | null = null;
    for (const instance of fleet.instances.values()) {
      if (instance.fn.tenant !== fn.tenant) continue;
      if (instance.state === 'draining') return; // room is being made already
      if (instance.fn.id === fn.id || !isIdle(instance, now())) continue;
      if (victim === null || instance.priority < victim.priority) victim = instance;
    }
    if (victim !== null) evict(victim);
  }

  function evict(instance: Instance) {
    keeping.evicted(instance);
    draining.retire(instance, 'evicted');
  }

  return { isFull, make, makeInTenant, evict };
}
