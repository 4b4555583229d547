/** The calls that wait for a slot: bounded queues, one for each function, and who is told that there will be none. */
import type { Denial } from '../protocol.js';
import { overloaded, overQuota } from './denials.js';
import type { FleetOptions } from './options.js';
import { queueLimit, queueWait, TENANT_QUEUE } from './scaling.js';
import type { FunctionState } from './state.js';

export type Waiting = ReturnType<typeof createWaiting>;

export function createWaiting({ actions, now }: Pick<FleetOptions, 'actions' | 'now'>) {
  /** Functions for which calls wait. */
  const waiting = new Map<string, FunctionState>();

  function deny(router: number, call: number, denial: Denial) {
    actions.send(router, { t: 'deny', call, denial });
  }

  /** @returns whether it waits: where a queue is full, it is refused. */
  function add(state: FunctionState, router: number, call: number, due: boolean): boolean {
    if (state.waiters.length >= queueLimit(state.fn)) {
      deny(router, call, overloaded(state.fn, 'its queue is full'));
      return false;
    }
    if (state.share.waiting.length >= TENANT_QUEUE) {
      deny(router, call, overloaded(state.fn, "its tenant's queue is full"));
      return false;
    }
    state.waiters.push(key(router, call), { router, call, since: now(), due });
    waiting.set(state.fn.id, state);
    return true;
  }

  /** @returns the function for which it waited. */
  function remove(router: number, call: number): FunctionState | undefined {
    for (const state of waiting.values()) if (state.waiters.remove(key(router, call))) return state;
    return undefined;
  }

  /** A router died, and its calls with it. */
  function removeRouter(router: number) {
    for (const { waiters } of waiting.values()) waiters.removeWhere((waiter) => waiter.router === router);
  }

  /** To be told when the queue may have become empty. */
  function forgetEmpty({ fn, waiters }: FunctionState) {
    if (waiters.length === 0) waiting.delete(fn.id);
  }

  function denyAll(state: FunctionState, denial: Denial) {
    for (let waiter = state.waiters.shift(); waiter !== undefined; waiter = state.waiters.shift())
      deny(waiter.router, waiter.call, denial);
    waiting.delete(state.fn.id);
  }

  /** Those that have waited for as long as they may. */
  function denyOverdue(state: FunctionState) {
    const time = now();
    const starting = [...state.instances].some((instance) => instance.state === 'starting');
    // Where a process is being started, the call's own time limit decides instead.
    const limit = starting ? state.fn.timeout_seconds * 1000 + 1000 : queueWait(state.fn);
    for (let head = state.waiters.peek(); head !== undefined; head = state.waiters.peek()) {
      if (time - head.since < limit) break;
      state.waiters.shift();
      const denial = state.atQuota ? overQuota(state.fn) : overloaded(state.fn, 'every process was busy');
      deny(head.router, head.call, denial);
    }
  }

  /** Whose turn it is: the tenant with the fewest processes first, then who has waited longest. */
  function byNeed(): FunctionState[] {
    const since = ({ waiters }: FunctionState) => waiters.peek()?.since ?? 0;
    return [...waiting.values()].sort(
      (one, other) => one.share.processes - other.share.processes || since(one) - since(other),
    );
  }

  /** Functions for which calls wait. */
  const functions = () => waiting.values();

  return { functions, deny, add, remove, removeRouter, forgetEmpty, denyAll, denyOverdue, byNeed };
}

function key(router: number, call: number): string {
  return `${router} ${call}`;
}
