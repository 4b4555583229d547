/** Processes that are to go: no new calls, and the end once those that run are done, or a deadline has come. */
import type { Instance, RetireReason } from './instance.js';
import type { FleetOptions } from './options.js';

export type Draining = ReturnType<typeof createDraining>;

export function createDraining({ actions, now }: Pick<FleetOptions, 'actions' | 'now'>) {
  /** @param endBy Unix ms by which it ends, whatever runs on it; it keeps an earlier one that it has. */
  function retire(instance: Instance, reason: RetireReason, endBy = Number.POSITIVE_INFINITY) {
    if (instance.state === 'gone') return;
    instance.retireReason ??= reason;
    instance.endBy = Math.min(instance.endBy, endBy);
    if (instance.state === 'draining') return;
    instance.state = 'draining';
    if (instance.address === null) return;
    for (const router of instance.leases.keys())
      actions.send(router, { t: 'retire', process: instance.address.process });
    endIfDrained(instance);
  }

  function endIfDrained(instance: Instance) {
    if (!instance.loaded || instance.leased > 0) return;
    if (actions.isHeld(instance) && now() < instance.endBy) {
      // `waitUntil` gets as long as a call would.
      instance.endBy = Math.min(instance.endBy, now() + instance.fn.timeout_seconds * 1000);
      return;
    }
    end(instance);
  }

  /** The same, and it ends with what runs on it where its deadline has come. */
  function endIfDue(instance: Instance) {
    if (!instance.loaded) return;
    if (now() >= instance.endBy) end(instance);
    else endIfDrained(instance);
  }

  function end(instance: Instance) {
    actions.end(instance, instance.retireReason ?? 'idle');
  }

  return { retire, endIfDrained, endIfDue };
}
