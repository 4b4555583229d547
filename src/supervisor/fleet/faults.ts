/** Processes that misbehave: a call is over what it may use, or the event loop is stuck. */
import type { Draining } from './draining.js';
import type { Instance, RetireReason } from './instance.js';
import type { FleetOptions } from './options.js';
import type { Slots } from './slots.js';
import type { FleetState } from './state.js';

/** ms that calls on a process get to finish after another call there went over its time. */
const GRACE_MS = 2_000;
/** ms for which a process may be stuck without a call. */
const USELESS_MS = 1_000;

export type Faults = ReturnType<typeof createFaults>;

interface Parts {
  fleet: FleetState;
  draining: Draining;
  slots: Slots;
}

export function createFaults(
  { actions, now }: Pick<FleetOptions, 'actions' | 'now'>,
  { fleet, draining, slots }: Parts,
) {
  /**
   * A call went over what it may use of time, CPU or memory: the process ends once the others on it are done, or after a
   * short grace.
   */
  function overdue(process: number, reason: RetireReason = 'timeout') {
    const instance = fleet.byProcess.get(process);
    if (instance === undefined) return;
    draining.retire(instance, reason, instance.stuck ? now() : now() + GRACE_MS);
    if (instance.stuck) actions.end(instance, reason);
    slots.serveFunctionOf(instance);
  }

  function setStuck(process: number, stuck: boolean) {
    const instance = fleet.byProcess.get(process);
    if (instance === undefined || instance.stuck === stuck) return;
    instance.stuck = stuck;
    instance.unseen.clear();
    instance.uselessSince = null;
    actions.broadcast({ t: 'stuck', process, stuck });
    if (stuck && (instance.retireReason === 'timeout' || instance.retireReason === 'cpu'))
      actions.end(instance, instance.retireReason);
    slots.serveFunctionOf(instance);
  }

  /**
   * How many calls of a router the function has seen. A process that is stuck without a call to be stuck in is no use to
   * anyone: its calls go to another one. It has a moment to come round, for a machine that has too much to do makes
   * processes late as well.
   */
  function stuckCalls(router: number, process: number, seen: number) {
    const instance = fleet.byProcess.get(process);
    if (instance === undefined || !instance.stuck || seen > 0 || actions.isHeld(instance)) return;
    instance.unseen.add(router);
    if ([...instance.leases.keys()].every((each) => instance.unseen.has(each))) instance.uselessSince = now();
  }

  function endIfUseless(instance: Instance) {
    if (instance.uselessSince !== null && now() - instance.uselessSince >= USELESS_MS)
      actions.end(instance, 'background');
  }

  return { overdue, setStuck, stuckCalls, endIfUseless };
}
