/** What time brings: the deadlines of calls that wait and of processes that drain, the ends and starts of idle ones. */
import type { Draining } from './draining.js';
import type { Faults } from './faults.js';
import type { Keeping } from './keeping.js';
import type { FleetOptions } from './options.js';
import type { Room } from './room.js';
import type { Slots } from './slots.js';
import type { Starts } from './starts.js';
import type { FleetState } from './state.js';
import type { Waiting } from './waiting.js';

/** ms between two looks at what is idle, what is to be started ahead, and the memory of all. */
const KEEPING_MS = 1_000;
/** Processes that are started ahead in one look: what somebody waits for is not to wait behind them. */
const AHEAD_AT_ONCE = 4;

interface Parts {
  fleet: FleetState;
  keeping: Keeping;
  waiting: Waiting;
  draining: Draining;
  room: Room;
  starts: Starts;
  slots: Slots;
  faults: Faults;
}

/** @returns what is to be called several times a second. */
export function createTick(
  { actions, now }: Pick<FleetOptions, 'actions' | 'now'>,
  { fleet, keeping, waiting, draining, room, starts, slots, faults }: Parts,
): () => void {
  let keptAt = Number.NEGATIVE_INFINITY;

  function tick() {
    const time = now();
    for (const state of waiting.byNeed()) {
      waiting.denyOverdue(state);
      slots.serve(state);
    }
    for (const instance of [...fleet.instances.values()]) {
      if (instance.state === 'draining') draining.endIfDue(instance);
      else faults.endIfUseless(instance);
    }
    if (time - keptAt < KEEPING_MS) return;
    keptAt = time;
    startAhead();
    for (const instance of keeping.tooMany(fleet.instances.values())) room.evict(instance);
    endOrTrimIdle();
  }

  /** What is to be there before it is called. */
  function startAhead() {
    let started = 0;
    for (const id of keeping.due()) {
      if (started === AHEAD_AT_ONCE) break;
      const state = fleet.functions.get(id);
      if (state === undefined || !state.fn.enabled || state.instances.size > 0) keeping.forget(id);
      else if (starts.startAhead(state)) {
        keeping.forget(id);
        started++;
      }
    }
  }

  function endOrTrimIdle() {
    for (const instance of [...fleet.instances.values()]) {
      const state = fleet.functionOf(instance);
      if (state === undefined || instance.state !== 'live' || instance.running.size > 0) continue;
      const hasOthers = () =>
        [...state.instances].some((other) => other !== instance && other.state === 'live');
      if (keeping.isExpired(state.kept, instance, hasOthers)) draining.retire(instance, 'idle');
      else if (keeping.shouldTrim(state.kept, instance)) actions.trim(instance);
    }
  }

  return tick;
}
