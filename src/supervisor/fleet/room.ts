/** Whether there is room for one more process, and which one makes some where there is none. */
import type { Draining } from './draining.js';
import type { Instance } from './instance.js';
import type { Keeping } from './keeping.js';
import type { FleetOptions } from './options.js';
import { isIdle, isLeaving, LEAVING_AT_ONCE, whoGivesWay } from './scaling.js';
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

  /**
   * The node is full: processes that are idle give way, else one of a tenant that has more than its share.
   *
   * @param wanted processes that all calls which wait need.
   */
  function make({ share: waiting }: FunctionState, wanted: () => number) {
    if (now() - searchedAt < SEARCH_MS) return;
    searchedAt = now();
    const { instances, shares } = fleet;
    const victims = whoGivesWay({
      now: now(),
      // Where memory is what is full, the node can have what it has.
      limit: Math.min(maxInstances, instances.size),
      waiting,
      wanted: wanted(),
      shares: shares.all(),
      processes: [...instances.values()].map((instance) => ({ instance, share: shares.of(instance.fn) })),
    });
    for (const victim of victims) evict(victim);
  }

  /**
   * The tenant may have no more: idle processes of other functions of its own make room, those that are worth the least.
   *
   * @param wanted processes that the tenant's calls which wait need.
   */
  function makeInTenant({ fn, share }: FunctionState, wanted: () => number) {
    if (now() - share.searchedAt < SEARCH_MS) return;
    share.searchedAt = now();
    let leaving = 0;
    const idle: Instance[] = [];
    for (const instance of fleet.instances.values()) {
      if (instance.fn.tenant !== fn.tenant) continue;
      if (isLeaving(instance)) leaving++;
      else if (instance.fn.id !== fn.id && isIdle(instance, now())) idle.push(instance);
    }
    idle.sort((one, other) => one.priority - other.priority);
    const places = Math.max(0, Math.min(wanted(), LEAVING_AT_ONCE) - leaving);
    for (const victim of idle.slice(0, places)) evict(victim);
  }

  function evict(instance: Instance) {
    keeping.evicted(instance);
    draining.retire(instance, 'evicted');
  }

  return { isFull, make, makeInTenant, evict };
}
