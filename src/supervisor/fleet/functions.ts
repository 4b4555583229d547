/** Functions that come, change and go, and what that means for their processes and for the calls that wait. */
import type { FunctionMeta } from '../../store/types.js';
import type { Denial } from '../protocol.js';
import { needsNewProcess } from '../specification.js';
import type { Draining } from './draining.js';
import type { Keeping } from './keeping.js';
import { createQueue } from './queue.js';
import type { Slots } from './slots.js';
import type { FleetState, FunctionState } from './state.js';
import type { Waiting } from './waiting.js';

interface Parts {
  fleet: FleetState;
  keeping: Keeping;
  waiting: Waiting;
  draining: Draining;
  slots: Slots;
}

export function createFunctions({ fleet, keeping, waiting, draining, slots }: Parts) {
  /** A new or changed function: what runs an older version drains, what waits gets the new one. */
  function set(fn: FunctionMeta) {
    const state = fleet.functions.get(fn.id);
    if (state === undefined) {
      add(fn);
      return;
    }
    const previous = state.fn;
    state.fn = fn;
    const kept = needsNewProcess(previous, fn) ? 0 : fn.max_instances;
    const running = [...state.instances].filter((instance) => instance.state !== 'draining');
    for (const instance of running.slice(kept)) draining.retire(instance, 'superseded');
    if (!fn.enabled)
      waiting.denyAll(state, { code: 'FUNCTION_DISABLED', message: `The function ${fn.name} is disabled.` });
    slots.serve(state);
  }

  function add(fn: FunctionMeta) {
    const share = fleet.shares.join(fn.tenant);
    fleet.functions.set(fn.id, {
      fn,
      instances: new Set(),
      waiters: createQueue(({ due }, by) => {
        share.waiting.length += by;
        fleet.waiting.all += by;
        if (due) fleet.waiting.due += by;
      }),
      share,
      kept: keeping.newFunction(),
      atQuota: false,
    });
  }

  /** A secret of the whole tenant was changed: what has the older ones drains. */
  function renewSecrets(tenant: string) {
    for (const state of fleet.functions.values()) {
      if (state.fn.tenant !== tenant || !state.fn.allow_env) continue;
      for (const instance of [...state.instances]) draining.retire(instance, 'superseded');
      slots.serve(state);
    }
  }

  /** @returns what it was, where it was known. */
  function remove(id: string): FunctionMeta | undefined {
    const state = fleet.functions.get(id);
    if (state === undefined) return undefined;
    forget(state, { code: 'NOT_FOUND', message: `There is no function ${state.fn.name}.` });
    for (const instance of state.instances) draining.retire(instance, 'superseded');
    return state.fn;
  }

  /** A tenant that is served no more: what waits is told so, and what runs ends by `endBy` (Unix ms) at the latest. */
  function stopTenant(tenant: string, denial: Denial, endBy = Number.POSITIVE_INFINITY) {
    for (const state of [...fleet.functions.values()]) if (state.fn.tenant === tenant) forget(state, denial);
    for (const instance of [...fleet.instances.values()])
      if (instance.fn.tenant === tenant) draining.retire(instance, 'superseded', endBy);
  }

  function forget(state: FunctionState, denial: Denial) {
    waiting.denyAll(state, denial);
    fleet.functions.delete(state.fn.id);
    keeping.forget(state.fn.id);
    fleet.shares.leave(state.share);
  }

  return { set, renewSecrets, remove, stopTenant };
}
