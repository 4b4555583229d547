/** The lives of processes as they report them: opened, loaded or failed to load, in use, measured, ended. */
import type { Denial, LoadStages, ProcessAddress } from '../protocol.js';
import type { Draining } from './draining.js';
import type { Instance } from './instance.js';
import type { Keeping } from './keeping.js';
import type { FleetOptions } from './options.js';
import type { Slots } from './slots.js';
import type { FleetState } from './state.js';
import type { Waiting } from './waiting.js';

interface Parts {
  fleet: FleetState;
  keeping: Keeping;
  waiting: Waiting;
  draining: Draining;
  slots: Slots;
}

export function createLives(
  { actions, now }: Pick<FleetOptions, 'actions' | 'now'>,
  { fleet, keeping, waiting, draining, slots }: Parts,
) {
  /**
   * The instance has its process, which is told what to become: calls may go there at once, and wait in it until its
   * module is loaded. `started` or `failed` follows.
   */
  function opened(instance: Instance, address: ProcessAddress) {
    instance.address = address;
    fleet.byProcess.set(address.process, instance);
    slots.serveFunctionOf(instance);
  }

  /** Its module is loaded. */
  function started(instance: Instance, stages: LoadStages) {
    fleet.shares.settled(instance.fn);
    instance.loaded = true;
    const state = fleet.functionOf(instance);
    if (state === undefined) instance.lastUsed = now();
    else keeping.started(state.kept, instance);
    const { address } = instance;
    if (address !== null)
      for (const router of instance.leases.keys())
        actions.send(router, { t: 'loaded', process: address.process, stages });
    if (instance.state === 'starting') instance.state = 'live';
    else draining.endIfDrained(instance); // it was superseded while it started
    slots.serveFunctionOf(instance);
  }

  /** The instance could not be started: everything that waits for it is told so. */
  function failed(instance: Instance, denial: Denial) {
    fleet.shares.settled(instance.fn);
    forget(instance);
    const state = fleet.functionOf(instance);
    const superseded = instance.state === 'draining';
    instance.state = 'gone';
    const others = state !== undefined && [...state.instances].some((other) => other.state === 'live');
    // What another process can serve goes there.
    const told = superseded || others ? null : denial;
    const process = instance.address?.process;
    if (process !== undefined) {
      for (const router of instance.leases.keys())
        actions.send(router, { t: 'load-failed', process, denial: told });
      if (instance.endReason !== null) actions.broadcast({ t: 'gone', process, reason: instance.endReason });
    }
    if (state === undefined) return;
    if (told !== null) waiting.denyAll(state, told);
    slots.serve(state);
  }

  /** Calls at a router: `running` now, `calls` over since it last said so, and when the oldest began (Unix ms). */
  function usage(router: number, process: number, running: number, calls: number, oldest: number | null) {
    const instance = fleet.byProcess.get(process);
    if (instance === undefined) return;
    if (running > 0) instance.running.set(router, { calls: running, oldest });
    else instance.running.delete(router);
    if (calls === 0 && running === 0) return;
    const state = fleet.functionOf(instance);
    if (state === undefined) instance.lastUsed = now();
    else keeping.used(state.kept, instance, calls);
  }

  /** Its resident memory was measured: MiB. */
  function measured(process: number, memoryMib: number) {
    const instance = fleet.byProcess.get(process);
    if (instance !== undefined) keeping.measured(fleet.functionOf(instance)?.kept, instance, memoryMib);
  }

  function ended(process: number, reason: string) {
    const instance = fleet.byProcess.get(process);
    if (instance !== undefined && !instance.loaded) {
      instance.endReason = reason; // `failed` follows, and knows what it means for its calls
      return;
    }
    actions.broadcast({ t: 'gone', process, reason });
    if (instance === undefined) return;
    forget(instance);
    instance.state = 'gone';
    for (const state of waiting.byNeed()) slots.serve(state);
  }

  function forget(instance: Instance) {
    const isKnown = fleet.instances.delete(instance.key);
    if (instance.address !== null) fleet.byProcess.delete(instance.address.process);
    const state = fleet.functionOf(instance);
    state?.instances.delete(instance);
    if (!isKnown) return;
    fleet.shares.ended(instance.fn);
    keeping.ended(state?.kept, instance, state?.instances.size === 0);
  }

  return { opened, started, failed, usage, measured, ended };
}
