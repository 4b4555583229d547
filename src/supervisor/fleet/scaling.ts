/** How many processes a function should have, how long its queue may be, and who gives way: pure decisions. */
import type { FunctionMeta } from '../../store/types.js';
import type { Instance } from './instance.js';
import type { TenantShare } from './tenant_shares.js';

/** Calls that may wait for each one that may run (Knative's queue-proxy uses 10). */
const QUEUE_FACTOR = 16;
const MAX_QUEUE = 4096;
/** Calls of all functions of one tenant that may wait on one node. */
export const TENANT_QUEUE = MAX_QUEUE;
/**
 * Processes of one tenant that are started at once: they are made one after another, and another tenant's first call is
 * not to wait behind all that a flood asks for.
 */
export const STARTS_AT_ONCE = 8;
/** ms after which one that is being started has been made, and only its module still loads. */
const START_MS = 2_000;
/** Processes of a full node that make room at once. */
export const LEAVING_AT_ONCE = 8;
/** ms without a call after which a process can make room: routers report use every second. */
const IDLE_MS = 1_000;
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

/** What a tenant may have running, over all nodes, and what it has on the others. Infinity: no quota. */
export interface ProcessQuota {
  processes: number;
  memoryMib: number;
  elsewhere: { processes: number; memoryMib: number };
}

/** Whether one more process is within the tenant's quota. */
export function mayStart(
  quota: ProcessQuota,
  share: Pick<TenantShare, 'processes' | 'memoryMib'>,
  fn: Pick<FunctionMeta, 'memory_limit_mb'>,
): boolean {
  const { elsewhere } = quota;
  return (
    share.processes + elsewhere.processes < quota.processes &&
    share.memoryMib + elsewhere.memoryMib + fn.memory_limit_mb <= quota.memoryMib
  );
}

/** Whether it is the tenant's turn to start one more, given those of it that are being started. */
export function isItsTurn(starting: Iterable<Pick<Instance, 'lastUsed'>>, now: number): boolean {
  let fresh = 0;
  for (const { lastUsed } of starting) if (now - lastUsed < START_MS) fresh++;
  return fresh < STARTS_AT_ONCE;
}

/** Whether the quota has room for one process of the function, whatever else ends. */
export function mayEverStart(quota: ProcessQuota, fn: Pick<FunctionMeta, 'memory_limit_mb'>): boolean {
  return quota.processes >= 1 && fn.memory_limit_mb <= quota.memoryMib;
}

export function isIdle(instance: Pick<Instance, 'state' | 'running' | 'lastUsed'>, now: number): boolean {
  return instance.state === 'live' && instance.running.size === 0 && now - instance.lastUsed > IDLE_MS;
}

/** Whether it makes room soon: one that has calls yet may take as long as they do. */
export function isLeaving({ state, running }: Pick<Instance, 'state' | 'running'>): boolean {
  return state === 'draining' && running.size === 0;
}

type Process = Pick<Instance, 'state' | 'running' | 'lastUsed' | 'priority'>;

export interface FullNode<I extends Process> {
  /** Unix ms. */
  now: number;
  /** Processes that functions may have. */
  limit: number;
  /** The tenant that waits for one. */
  waiting: TenantShare;
  /** Processes that all calls which wait need: one at least. */
  wanted: number;
  /** All tenants'. */
  shares: Iterable<TenantShare>;
  processes: readonly { instance: I; share: TenantShare }[];
}

/**
 * The processes of a full node that make room for calls that wait, one of them a tenant's. A tenant's share is the limit
 * divided by the tenants that want something: that have calls running or waiting.
 *
 * Idle processes go first, as many as are wanted and are not on their way out yet: those of the tenant that is furthest
 * over its share, and then the one that is worth the least (`keepalive/greedy_dual.ts`). Where none is idle, a tenant over
 * its share that has at least two more than the one that waits gives up the process with the fewest calls, which finishes
 * them; one at a time. None: nobody has to, or room is being made already.
 */
export function whoGivesWay<I extends Process>(node: FullNode<I>): I[] {
  const { now, processes, waiting } = node;
  const leaving = processes.filter(({ instance }) => isLeaving(instance)).length;
  const places = Math.min(node.wanted, LEAVING_AT_ONCE) - leaving;
  if (places <= 0) return [];
  const busy = new Set<TenantShare>();
  for (const share of node.shares) if (share.waiting.length > 0) busy.add(share);
  for (const { instance, share } of processes) if (!isIdle(instance, now)) busy.add(share);
  const fair = node.limit / Math.max(1, busy.size);
  const over = (share: TenantShare) => Math.max(0, share.processes - fair);
  const idle = processes.filter(({ instance }) => isIdle(instance, now));
  if (idle.length > 0) return leastMissed(idle, places, fair);
  if (processes.some(({ instance }) => instance.state === 'draining')) return [];
  const giving = processes.filter(
    ({ instance, share }) =>
      instance.state === 'live' && over(share) > 0 && share.processes >= waiting.processes + 2,
  );
  giving.sort((a, b) => b.share.processes - a.share.processes || callsOn(a.instance) - callsOn(b.instance));
  return giving.slice(0, 1).map(({ instance }) => instance);
}

/** So many of the idle processes, or all of them. `fair`: processes that a tenant may have before others. */
function leastMissed<I extends Process>(
  idle: readonly { instance: I; share: TenantShare }[],
  places: number,
  fair: number,
): I[] {
  const left = new Set(idle);
  const gone = new Map<TenantShare, number>();
  const over = (share: TenantShare) => Math.max(0, share.processes - (gone.get(share) ?? 0) - fair);
  const chosen: I[] = [];
  while (chosen.length < places) {
    let least: (typeof idle)[number] | null = null;
    for (const each of left) {
      const order =
        least === null
          ? -1
          : over(least.share) - over(each.share) || each.instance.priority - least.instance.priority;
      if (order < 0) least = each;
    }
    if (least === null) break;
    left.delete(least);
    gone.set(least.share, (gone.get(least.share) ?? 0) + 1);
    chosen.push(least.instance);
  }
  return chosen;
}

function callsOn({ running }: Process): number {
  let total = 0;
  for (const { calls } of running.values()) total += calls;
  return total;
}
