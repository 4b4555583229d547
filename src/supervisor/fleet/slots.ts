/** The slots of processes: leased to routers for the calls that wait there, asked back for others, and returned. */
import type { ProcessAddress } from '../protocol.js';
import type { Draining } from './draining.js';
import type { Instance } from './instance.js';
import type { Keeping } from './keeping.js';
import type { FleetOptions } from './options.js';
import { slotsToRecall } from './recalls.js';
import { leaseSize } from './scaling.js';
import type { Starts } from './starts.js';
import type { FleetState, FunctionState, Waiter } from './state.js';
import type { Waiting } from './waiting.js';

export type Slots = ReturnType<typeof createSlots>;

interface Parts {
  fleet: FleetState;
  keeping: Keeping;
  waiting: Waiting;
  draining: Draining;
  starts: Starts;
}

export function createSlots(
  { actions, now, onQueueWait }: Pick<FleetOptions, 'actions' | 'now' | 'onQueueWait'>,
  { fleet, keeping, waiting, draining, starts }: Parts,
) {
  /** A call at a router waits for a slot. `due`: nobody waits for its answer. */
  function acquire(router: number, functionId: string, call: number, due = false) {
    const state = fleet.functions.get(functionId);
    if (state === undefined) {
      waiting.deny(router, call, { code: 'NOT_FOUND', message: 'There is no such function.' });
      return;
    }
    keeping.called(functionId, state.kept);
    if (waiting.add(state, router, call, due)) serve(state);
  }

  function cancel(router: number, call: number) {
    const state = waiting.remove(router, call);
    if (state !== undefined) serve(state); // whose turn is next may have changed
  }

  function release(router: number, process: number, slots: number) {
    const instance = fleet.byProcess.get(process);
    if (instance === undefined) return;
    const held = instance.leases.get(router) ?? 0;
    const returned = Math.min(held, slots);
    if (held === returned) instance.leases.delete(router);
    else instance.leases.set(router, held - returned);
    instance.leased -= returned;
    if (instance.state === 'draining') draining.endIfDrained(instance);
    serveFunctionOf(instance);
  }

  /** A router died: its slots and its waiting calls go with it. */
  function routerGone(router: number) {
    fleet.routers.delete(router);
    waiting.removeRouter(router);
    for (const instance of [...fleet.instances.values()]) {
      instance.running.delete(router);
      const slots = instance.leases.get(router);
      if (slots === undefined || instance.address === null) continue;
      release(router, instance.address.process, slots);
    }
  }

  function serveFunctionOf(instance: Instance) {
    const state = fleet.functionOf(instance);
    if (state !== undefined) serve(state);
  }

  /** Gives slots to what waits, asks other routers for idle ones, starts processes: called after every change. */
  function serve(state: FunctionState) {
    for (let best = fullestWithFree(state); best !== null; best = fullestWithFree(state)) {
      const waiter = state.waiters.shift();
      if (waiter === undefined) break;
      grant(state, best, waiter);
    }
    waiting.forgetEmpty(state);
    if (state.waiters.length === 0) return;
    starts.startMore(state);
    for (const { router, slots } of slotsToRecall(state, now()))
      actions.send(router, { t: 'recall', functionId: state.fn.id, slots });
  }

  function grant(state: FunctionState, instance: OpenInstance, { router, call, since }: Waiter) {
    const available = state.fn.max_concurrency - instance.leased;
    const slots = leaseSize(available, fleet.routers.size, state.waiters.length);
    instance.leases.set(router, (instance.leases.get(router) ?? 0) + slots);
    instance.leased += slots;
    keeping.used(state.kept, instance, 0);
    onQueueWait(state.fn, now() - since);
    const { address: to, loaded } = instance;
    actions.send(router, { t: 'grant', call, slots, loaded, to });
  }

  return { acquire, cancel, release, routerGone, serve, serveFunctionOf };
}

/** One that has its process, which may load its module yet. */
type OpenInstance = Instance & { address: ProcessAddress };

/** Of the processes with a free slot the fullest, so that the others become idle and can go. */
function fullestWithFree({ fn, instances }: FunctionState): OpenInstance | null {
  let best: OpenInstance | null = null;
  for (const instance of instances) {
    if (!takesCalls(instance) || instance.leased >= fn.max_concurrency) continue;
    if (best === null || instance.leased > best.leased) best = instance;
  }
  return best;
}

function takesCalls(instance: Instance): instance is OpenInstance {
  const { state, address, stuck } = instance;
  return !stuck && address !== null && (state === 'live' || state === 'starting');
}
