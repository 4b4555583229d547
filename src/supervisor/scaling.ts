/** How many processes a function should have, and how long its queue may be: pure decisions. */
import type { FunctionMeta } from '../store/types.js';

/** Calls that may wait for each one that may run (Knative's queue-proxy uses 10). */
const QUEUE_FACTOR = 16;
const MAX_QUEUE = 4096;
/** ms that a call waits for capacity (Cloud Run waits 10 s). */
export const QUEUE_WAIT_MS = 10_000;

type Limits = Pick<FunctionMeta, 'max_concurrency' | 'max_instances' | 'timeout_seconds'>;

/** Calls of one function that may wait on one node. */
export function queueLimit(limits: Limits): number {
  return Math.min(MAX_QUEUE, QUEUE_FACTOR * limits.max_concurrency * limits.max_instances);
}

/** ms that a call may wait for a slot. */
export function queueWait(limits: Limits): number {
  return Math.min(QUEUE_WAIT_MS, limits.timeout_seconds * 1000);
}

/** Processes to start now, given what waits, what is free to serve it and what is being started. */
export function processesToStart(
  limits: Limits,
  state: { waiting: number; freeSlots: number; starting: number; instances: number },
): number {
  const uncovered = state.waiting - state.freeSlots - state.starting * limits.max_concurrency;
  if (uncovered <= 0) return 0;
  const wanted = Math.ceil(uncovered / limits.max_concurrency);
  return Math.max(0, Math.min(wanted, limits.max_instances - state.instances));
}

/** Slots of a process with `free` free ones to lease to one of `routers` at once: enough to spare it asking again. */
export function leaseSize(free: number, routers: number, waiting: number): number {
  if (waiting > 0) return 1;
  return Math.max(1, Math.min(free, Math.ceil(free / Math.max(1, routers))));
}

/** Whole seconds after which a refused caller may try again. */
export function retryAfter(limits: Limits): number {
  return Math.max(1, Math.min(30, Math.ceil(queueWait(limits) / 2000)));
}
