/**
 * The processes of every function and the leases on their slots: who may call what, who waits, what starts and ends.
 * It holds state and decides; starting, ending and sending are its actions, and time is given. Its parts lie in
 * `fleet/`; each works on the state and calls those before it.
 */
import { createDraining } from './fleet/draining.js';
import { createFaults } from './fleet/faults.js';
import { createFunctions } from './fleet/functions.js';
import type { Instance, RetireReason } from './fleet/instance.js';
import { createKeeping } from './fleet/keeping.js';
import { createLives } from './fleet/lives.js';
import type { FleetActions, FleetOptions } from './fleet/options.js';
import { createRoom } from './fleet/room.js';
import { createSlots } from './fleet/slots.js';
import { createStarts } from './fleet/starts.js';
import { createFleetState } from './fleet/state.js';
import { createTick } from './fleet/tick.js';
import { createWaiting } from './fleet/waiting.js';

export type { FleetActions, FleetOptions, Instance, RetireReason };

export type Fleet = ReturnType<typeof createFleet>;

export function createFleet(options: FleetOptions) {
  const fleet = createFleetState();
  const keeping = createKeeping(options);
  const waiting = createWaiting(options);
  const draining = createDraining(options);
  const room = createRoom(options, { fleet, keeping, draining });
  const starts = createStarts(options, { fleet, keeping, waiting, room });
  const slots = createSlots(options, { fleet, keeping, waiting, draining, starts });
  const lives = createLives(options, { fleet, keeping, waiting, draining, slots });
  const faults = createFaults(options, { fleet, draining, slots });
  const functions = createFunctions({ fleet, keeping, waiting, draining, slots });
  const tick = createTick(options, { fleet, keeping, waiting, draining, room, starts, slots, faults });

  return {
    setFunction: functions.set,
    renewSecrets: functions.renewSecrets,
    removeFunction: functions.remove,
    stopTenant: functions.stopTenant,

    /** A router is up: it may ask for slots. */
    routerUp: (router: number) => void fleet.routers.add(router),
    routerGone: slots.routerGone,
    acquire: slots.acquire,
    cancel: slots.cancel,
    release: slots.release,

    opened: lives.opened,
    started: lives.started,
    failed: lives.failed,
    usage: lives.usage,
    measured: lives.measured,
    ended: lives.ended,

    overdue: faults.overdue,
    setStuck: faults.setStuck,
    stuckCalls: faults.stuckCalls,
    retireProcess(process: number, reason: RetireReason) {
      const instance = fleet.byProcess.get(process);
      if (instance !== undefined) draining.retire(instance, reason);
    },
    tick,

    functions: () => fleet.functions.values(),
    instances: () => fleet.instances.values(),
    /** What a tenant has here: processes, starting and draining ones too, and MiB that they may use. */
    shareOf: (tenant: string) => fleet.shares.find(tenant),
    shares: () => fleet.shares.all(),
    has: (functionId: string) => fleet.functions.has(functionId),
    instanceOf: (process: number) => fleet.byProcess.get(process),
    /** Calls that wait for a slot. */
    queued: () => fleet.waiting.all,
    /** Those of them that somebody waits for. */
    awaited: () => fleet.waiting.all - fleet.waiting.due,
  };
}
