/** Starts of processes: as many as the calls that wait need, as far as node, quota and turn allow, or one ahead of them. */
import { overQuota } from './denials.js';
import { newInstance } from './instance.js';
import type { Keeping } from './keeping.js';
import type { FleetOptions } from './options.js';
import { type Room, SEARCH_MS } from './room.js';
import {
  isItsTurn,
  LEAVING_AT_ONCE,
  mayEverStart,
  mayStart,
  processesToStart,
  STARTS_AT_ONCE,
} from './scaling.js';
import type { FleetState, FunctionState } from './state.js';
import type { TenantShare } from './tenant_shares.js';
import type { Waiting } from './waiting.js';

export type Starts = ReturnType<typeof createStarts>;

interface Parts {
  fleet: FleetState;
  keeping: Keeping;
  waiting: Waiting;
  room: Room;
}

export function createStarts(
  { actions, now, quotaOf }: Pick<FleetOptions, 'actions' | 'now' | 'quotaOf'>,
  { fleet, keeping, waiting, room }: Parts,
) {
  let lastKey = 0;

  /** For the calls that wait, where no slot is free. */
  function startMore(state: FunctionState) {
    state.atQuota = false;
    const count = missing(state);
    for (let started = 0; started < count; started++) {
      const quota = quotaOf(state.fn.tenant);
      if (quota !== null && !mayEverStart(quota, state.fn))
        return waiting.denyAll(state, overQuota(state.fn));
      state.atQuota = quota !== null && !mayStart(quota, state.share, state.fn);
      if (state.atQuota) return room.makeInTenant(state, () => missingInAll(state.share));
      if (room.isFull(state)) return room.make(state, () => missingInAll(null));
      if (state.share.starting >= STARTS_AT_ONCE && !hasTurn(state.share)) return;
      start(state, false);
    }
  }

  /** Processes that its calls wait for, and nobody starts yet. */
  function missing({ fn, instances, waiters }: FunctionState): number {
    const counted = [...instances].filter((instance) => instance.state !== 'draining');
    return processesToStart(fn, {
      waiting: waiters.length,
      freeSlots: 0,
      starting: counted.filter(({ address }) => address === null).length,
      instances: counted.length,
    });
  }

  /** The same of a tenant's functions, or of all whose tenant may have more; up to as many as can leave at once. */
  function missingInAll(share: TenantShare | null): number {
    let count = 0;
    for (const state of waiting.functions()) {
      if (share === null ? !state.atQuota : state.share === share) count += missing(state);
      if (count >= LEAVING_AT_ONCE) break;
    }
    return count;
  }

  function hasTurn(share: TenantShare): boolean {
    if (now() - share.heldBackAt < SEARCH_MS) return false;
    const starting = [...fleet.instances.values()].filter(
      ({ address, fn }) => address === null && fn.tenant === share.tenant,
    );
    if (isItsTurn(starting, now())) return true;
    share.heldBackAt = now();
    return false;
  }

  /** A process before there is a call for it: where there is room, and nothing has to make any. */
  function startAhead(state: FunctionState): boolean {
    const { fn, share } = state;
    const quota = quotaOf(fn.tenant);
    if (quota !== null && !mayStart(quota, share, fn)) return false;
    if (room.isFull(state) || share.starting >= STARTS_AT_ONCE) return false;
    start(state, true);
    return true;
  }

  function start(state: FunctionState, isAhead: boolean) {
    const instance = newInstance(++lastKey, state.fn, now());
    fleet.instances.set(instance.key, instance);
    fleet.shares.started(state.fn);
    state.instances.add(instance);
    keeping.starting(state.kept, instance, isAhead);
    actions.start(instance);
  }

  return { startMore, startAhead };
}
