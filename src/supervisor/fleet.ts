/**
 * The processes of every function and the leases on their slots: who may call what, who waits, what starts and ends.
 * It holds state and decides; starting, ending and sending are its actions, and time is given.
 */
import type { FunctionMeta } from '../store/types.js';
import { overloaded, overQuota } from './fleet/denials.js';
import { type Instance, newInstance, type RetireReason } from './fleet/instance.js';
import { createKeeping, type KeepingOptions, type Kept } from './fleet/keeping.js';
import { createQueue, type Queue } from './fleet/queue.js';
import { slotsToRecall } from './fleet/recalls.js';
import {
  isIdle,
  isItsTurn,
  leaseSize,
  mayEverStart,
  mayStart,
  type ProcessQuota,
  processesToStart,
  queueLimit,
  queueWait,
  STARTS_AT_ONCE,
  TENANT_QUEUE,
  whoGivesWay,
} from './fleet/scaling.js';
import { createTenantShares, type TenantShare } from './fleet/tenant_shares.js';
import type { Denial, LoadStages, ProcessAddress, ToRouter } from './protocol.js';
import { needsNewProcess } from './specification.js';

export type { Instance, RetireReason };

export interface FleetActions {
  /** Claims a process for the instance; `started` or `failed` follows. */
  start(instance: Instance): void;
  /** Ends the instance's process; `ended` follows. */
  end(instance: Instance, reason: RetireReason): void;
  /** The instance's process is going to be idle for a while: its memory may shrink. */
  trim(instance: Instance): void;
  /** Whether the process still works for `waitUntil`. */
  isHeld(instance: Instance): boolean;
  send(router: number, message: ToRouter): void;
  broadcast(message: ToRouter): void;
}

export interface FleetOptions {
  actions: FleetActions;
  now(): number;
  keepAlive: KeepingOptions['keepAlive'];
  /** Processes that functions may have on this node at once. */
  maxInstances: number;
  /** MiB of resident memory that they may have together. */
  memoryMib: number;
  /** What a tenant may have running, over all nodes; null: whatever there is. */
  quotaOf(tenant: string): ProcessQuota | null;
  onQueueWait(fn: FunctionMeta, ms: number): void;
  onPrewarmed: KeepingOptions['onPrewarmed'];
}

interface Waiter {
  router: number;
  call: number;
  since: number;
}

interface FunctionState {
  fn: FunctionMeta;
  instances: Set<Instance>;
  waiters: Queue<Waiter>;
  /** Its tenant's. */
  share: TenantShare;
  kept: Kept;
  /** Whether its tenant's quota kept a process from being started last. */
  atQuota: boolean;
}

/** ms that calls on a process get to finish after another call there went over its time. */
const GRACE_MS = 2_000;
/** ms for which a process may be stuck without a call. */
const USELESS_MS = 1_000;
/** ms between two searches for a process that can make room. */
const SEARCH_MS = 50;
/** ms between two looks at what is idle, what is to be started ahead, and the memory of all. */
const KEEPING_MS = 1_000;
/** Processes that are started ahead in one look: what somebody waits for is not to wait behind them. */
const AHEAD_AT_ONCE = 4;

export type Fleet = ReturnType<typeof createFleet>;

export function createFleet(options: FleetOptions) {
  const { actions, now } = options;
  const functions = new Map<string, FunctionState>();
  const instances = new Map<number, Instance>();
  const byProcess = new Map<number, Instance>();
  const waiting = new Map<string, FunctionState>();
  const routers = new Set<number>();
  const shares = createTenantShares();
  const keeping = createKeeping(options);
  let lastKey = 0;
  let keptAt = Number.NEGATIVE_INFINITY;
  let searchedAt = Number.NEGATIVE_INFINITY;

  /** A new or changed function: what runs an older version drains, what waits gets the new one. */
  function setFunction(fn: FunctionMeta) {
    const state = functions.get(fn.id);
    if (state === undefined) {
      const share = shares.join(fn.tenant);
      functions.set(fn.id, {
        fn,
        instances: new Set(),
        waiters: createQueue(share.waiting),
        share,
        kept: keeping.newFunction(),
        atQuota: false,
      });
      return;
    }
    const previous = state.fn;
    state.fn = fn;
    const kept = needsNewProcess(previous, fn) ? 0 : fn.max_instances;
    const running = [...state.instances].filter((instance) => instance.state !== 'draining');
    for (const instance of running.slice(kept)) retire(instance, 'superseded');
    if (!fn.enabled)
      denyAll(state, { code: 'FUNCTION_DISABLED', message: `The function ${fn.name} is disabled.` });
    serve(state);
  }

  /** A secret of the whole tenant was changed: what has the older ones drains. */
  function renewSecrets(tenant: string) {
    for (const state of functions.values()) {
      if (state.fn.tenant !== tenant || !state.fn.allow_env) continue;
      for (const instance of [...state.instances]) retire(instance, 'superseded');
      serve(state);
    }
  }

  /** @returns what it was, where it was known. */
  function removeFunction(id: string): FunctionMeta | undefined {
    const state = functions.get(id);
    if (state === undefined) return undefined;
    denyAll(state, { code: 'NOT_FOUND', message: `There is no function ${state.fn.name}.` });
    functions.delete(id);
    keeping.forget(id);
    shares.leave(state.share);
    for (const instance of state.instances) retire(instance, 'superseded');
    return state.fn;
  }

  /** A tenant that is served no more: what waits is told so, and what runs ends by `endBy` (ms) at the latest. */
  function stopTenant(tenant: string, denial: Denial, endBy = Number.POSITIVE_INFINITY) {
    for (const state of [...functions.values()]) {
      if (state.fn.tenant !== tenant) continue;
      denyAll(state, denial);
      functions.delete(state.fn.id);
      keeping.forget(state.fn.id);
      shares.leave(state.share);
    }
    for (const instance of [...instances.values()])
      if (instance.fn.tenant === tenant) retire(instance, 'superseded', endBy);
  }

  /** A call at a router waits for a slot. */
  function acquire(router: number, functionId: string, call: number) {
    const state = functions.get(functionId);
    if (state === undefined) {
      actions.send(router, {
        t: 'deny',
        call,
        denial: { code: 'NOT_FOUND', message: 'There is no such function.' },
      });
      return;
    }
    keeping.called(functionId, state.kept);
    if (state.waiters.length >= queueLimit(state.fn)) {
      actions.send(router, { t: 'deny', call, denial: overloaded(state.fn, 'its queue is full') });
      return;
    }
    if (state.share.waiting.length >= TENANT_QUEUE) {
      const denial = overloaded(state.fn, "its tenant's queue is full");
      actions.send(router, { t: 'deny', call, denial });
      return;
    }
    state.waiters.push(key(router, call), { router, call, since: now() });
    waiting.set(functionId, state);
    serve(state);
  }

  function cancel(router: number, call: number) {
    for (const state of waiting.values()) {
      if (!state.waiters.remove(key(router, call))) continue;
      serve(state); // whose turn is next may have changed
      return;
    }
  }

  function release(router: number, process: number, slots: number) {
    const instance = byProcess.get(process);
    if (instance === undefined) return;
    const held = instance.leases.get(router) ?? 0;
    const returned = Math.min(held, slots);
    if (held === returned) instance.leases.delete(router);
    else instance.leases.set(router, held - returned);
    instance.leased -= returned;
    afterRelease(instance);
  }

  function afterRelease(instance: Instance) {
    if (instance.state === 'draining') endIfDrained(instance);
    const state = functions.get(instance.fn.id);
    if (state !== undefined) serve(state);
  }

  function usage(router: number, process: number, running: number, calls: number, oldest: number | null) {
    const instance = byProcess.get(process);
    if (instance === undefined) return;
    if (running > 0) instance.running.set(router, { calls: running, oldest });
    else instance.running.delete(router);
    if (calls > 0 || running > 0) use(instance, calls);
  }

  function use(instance: Instance, calls: number) {
    const state = functions.get(instance.fn.id);
    if (state === undefined) instance.lastUsed = now();
    else keeping.used(state.kept, instance, calls);
  }

  /** Its resident memory was measured: MiB. */
  function measured(process: number, memoryMib: number) {
    const instance = byProcess.get(process);
    if (instance !== undefined) keeping.measured(functions.get(instance.fn.id)?.kept, instance, memoryMib);
  }

  /**
   * The instance has its process, which is told what to become: calls may go there at once, and wait in it until its
   * module is loaded. `started` or `failed` follows.
   */
  function opened(instance: Instance, address: ProcessAddress) {
    instance.address = address;
    byProcess.set(address.process, instance);
    const state = functions.get(instance.fn.id);
    if (state !== undefined) serve(state);
  }

  /** Its module is loaded. */
  function started(instance: Instance, stages: LoadStages) {
    shares.settled(instance.fn);
    instance.loaded = true;
    const state = functions.get(instance.fn.id);
    if (state === undefined) instance.lastUsed = now();
    else keeping.started(state.kept, instance);
    const { address } = instance;
    if (address !== null)
      for (const router of instance.leases.keys())
        actions.send(router, { t: 'loaded', process: address.process, stages });
    if (instance.state === 'starting') instance.state = 'live';
    else endIfDrained(instance); // it was superseded while it started
    if (state !== undefined) serve(state);
  }

  /** The instance could not be started: everything that waits for it is told so. */
  function failed(instance: Instance, denial: Denial) {
    shares.settled(instance.fn);
    forget(instance);
    const state = functions.get(instance.fn.id);
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
    if (told !== null) denyAll(state, told);
    serve(state);
  }

  function ended(process: number, reason: string) {
    const instance = byProcess.get(process);
    if (instance !== undefined && !instance.loaded) {
      instance.endReason = reason; // `failed` follows, and knows what it means for its calls
      return;
    }
    actions.broadcast({ t: 'gone', process, reason });
    if (instance === undefined) return;
    forget(instance);
    instance.state = 'gone';
    for (const state of byNeed()) serve(state);
  }

  /** What waits: the tenant with the fewest processes first, then who has waited longest. */
  function byNeed(): FunctionState[] {
    const since = ({ waiters }: FunctionState) => waiters.peek()?.since ?? 0;
    return [...waiting.values()].sort(
      (one, other) => one.share.processes - other.share.processes || since(one) - since(other),
    );
  }

  function forget(instance: Instance) {
    const isKnown = instances.delete(instance.key);
    if (instance.address !== null) byProcess.delete(instance.address.process);
    const state = functions.get(instance.fn.id);
    state?.instances.delete(instance);
    if (!isKnown) return;
    shares.ended(instance.fn);
    keeping.ended(state?.kept, instance, state?.instances.size === 0);
  }

  /** No new calls; ended when the running ones are done. */
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
    actions.end(instance, instance.retireReason ?? 'idle');
  }

  /**
   * A call went over what it may use of time, CPU or memory: the process ends once the others on it are done, or after a
   * short grace.
   */
  function overdue(process: number, reason: RetireReason = 'timeout') {
    const instance = byProcess.get(process);
    if (instance === undefined) return;
    retire(instance, reason, instance.stuck ? now() : now() + GRACE_MS);
    if (instance.stuck) actions.end(instance, reason);
    const state = functions.get(instance.fn.id);
    if (state !== undefined) serve(state);
  }

  function setStuck(process: number, stuck: boolean) {
    const instance = byProcess.get(process);
    if (instance === undefined || instance.stuck === stuck) return;
    instance.stuck = stuck;
    instance.unseen.clear();
    instance.uselessSince = null;
    actions.broadcast({ t: 'stuck', process, stuck });
    if (stuck && (instance.retireReason === 'timeout' || instance.retireReason === 'cpu'))
      actions.end(instance, instance.retireReason);
    const state = functions.get(instance.fn.id);
    if (state !== undefined) serve(state);
  }

  /**
   * A process that is stuck without a call to be stuck in is no use to anyone: its calls go to another one. It has a
   * moment to come round, for a machine that has too much to do makes processes late as well.
   */
  function stuckCalls(router: number, process: number, seen: number) {
    const instance = byProcess.get(process);
    if (instance === undefined || !instance.stuck || seen > 0 || actions.isHeld(instance)) return;
    instance.unseen.add(router);
    if ([...instance.leases.keys()].every((each) => instance.unseen.has(each))) instance.uselessSince = now();
  }

  function retireProcess(process: number, reason: RetireReason) {
    const instance = byProcess.get(process);
    if (instance !== undefined) retire(instance, reason);
  }

  function routerUp(router: number) {
    routers.add(router);
  }

  /** A router died: its slots and its waiting calls go with it. */
  function routerGone(router: number) {
    routers.delete(router);
    for (const state of [...waiting.values()])
      state.waiters.removeWhere((waiter) => waiter.router === router);
    for (const instance of [...instances.values()]) {
      instance.running.delete(router);
      const slots = instance.leases.get(router);
      if (slots === undefined || instance.address === null) continue;
      release(router, instance.address.process, slots);
    }
  }

  /** Gives slots to what waits, asks other routers for idle ones, starts processes: called after every change. */
  function serve(state: FunctionState) {
    let free = freeSlots(state);
    while (state.waiters.length > 0 && free.total > 0) {
      const waiter = state.waiters.shift();
      if (waiter === undefined) break;
      const instance = free.best;
      if (instance === null || instance.address === null) break;
      const available = state.fn.max_concurrency - instance.leased;
      const slots = leaseSize(available, routers.size, state.waiters.length);
      instance.leases.set(waiter.router, (instance.leases.get(waiter.router) ?? 0) + slots);
      instance.leased += slots;
      keeping.used(state.kept, instance, 0);
      options.onQueueWait(state.fn, now() - waiter.since);
      const { address: to, loaded } = instance;
      actions.send(waiter.router, { t: 'grant', call: waiter.call, slots, loaded, to });
      free = freeSlots(state);
    }
    if (state.waiters.length === 0) {
      waiting.delete(state.fn.id);
      return;
    }
    startMore(state);
    for (const { router, slots } of slotsToRecall(state, now()))
      actions.send(router, { t: 'recall', functionId: state.fn.id, slots });
  }

  function freeSlots(state: FunctionState): { total: number; best: Instance | null } {
    let total = 0;
    let best: Instance | null = null;
    for (const instance of state.instances) {
      if (!takesCalls(instance)) continue;
      const free = state.fn.max_concurrency - instance.leased;
      if (free <= 0) continue;
      total += free;
      // The fullest first, so that the others become idle and can go.
      if (best === null || instance.leased > best.leased) best = instance;
    }
    return { total, best };
  }

  function startMore(state: FunctionState) {
    state.atQuota = false;
    const counted = [...state.instances].filter((instance) => instance.state !== 'draining');
    const count = processesToStart(state.fn, {
      waiting: state.waiters.length,
      freeSlots: 0,
      starting: counted.filter(({ address }) => address === null).length,
      instances: counted.length,
    });
    for (let started = 0; started < count; started++) {
      const quota = options.quotaOf(state.fn.tenant);
      if (quota !== null && !mayEverStart(quota, state.fn)) return denyAll(state, overQuota(state.fn));
      state.atQuota = quota !== null && !mayStart(quota, state.share, state.fn);
      if (state.atQuota) return makeRoomInTenant(state);
      if (isFull(state)) return makeRoom(state);
      if (state.share.starting >= STARTS_AT_ONCE && !hasTurn(state.share)) return;
      start(state, false);
    }
  }

  function start(state: FunctionState, isAhead: boolean) {
    const instance = newInstance(++lastKey, state.fn, now());
    instances.set(instance.key, instance);
    shares.started(state.fn);
    state.instances.add(instance);
    keeping.starting(state.kept, instance, isAhead);
    actions.start(instance);
  }

  function isFull({ kept }: FunctionState): boolean {
    return instances.size >= options.maxInstances || !keeping.hasRoomFor(kept);
  }

  /** A process before there is a call for it: where there is room, and nothing has to make any. */
  function startAhead(state: FunctionState): boolean {
    const { fn, share } = state;
    const quota = options.quotaOf(fn.tenant);
    if (quota !== null && !mayStart(quota, share, fn)) return false;
    if (isFull(state) || share.starting >= STARTS_AT_ONCE) return false;
    start(state, true);
    return true;
  }

  /** What is to be there before it is called; what goes because all together is too much, or has idled; what shrinks. */
  function keep() {
    let started = 0;
    for (const id of keeping.due()) {
      if (started === AHEAD_AT_ONCE) break;
      const state = functions.get(id);
      if (state === undefined || !state.fn.enabled || state.instances.size > 0) keeping.forget(id);
      else if (startAhead(state)) {
        keeping.forget(id);
        started++;
      }
    }
    for (const instance of keeping.tooMany(instances.values())) evict(instance);
    for (const instance of [...instances.values()]) {
      const state = functions.get(instance.fn.id);
      if (state === undefined || instance.state !== 'live' || instance.running.size > 0) continue;
      const hasOthers = () =>
        [...state.instances].some((other) => other !== instance && other.state === 'live');
      if (keeping.isExpired(state.kept, instance, hasOthers)) retire(instance, 'idle');
      else if (keeping.shouldTrim(state.kept, instance)) actions.trim(instance);
    }
  }

  function evict(instance: Instance) {
    keeping.evicted(instance);
    retire(instance, 'evicted');
  }

  function hasTurn(share: TenantShare): boolean {
    if (now() - share.heldBackAt < SEARCH_MS) return false;
    const starting = [...instances.values()].filter(
      ({ address, fn }) => address === null && fn.tenant === share.tenant,
    );
    if (isItsTurn(starting, now())) return true;
    share.heldBackAt = now();
    return false;
  }

  /** The node is full: a process of a tenant that has more than its share gives way, else one that is idle. */
  function makeRoom(state: FunctionState) {
    if (now() - searchedAt < SEARCH_MS) return;
    searchedAt = now();
    const victim = whoGivesWay({
      now: now(),
      // Where memory is what is full, the node can have what it has.
      limit: Math.min(options.maxInstances, instances.size),
      waiting: state.share,
      shares: shares.all(),
      processes: [...instances.values()].map((instance) => ({ instance, share: shares.of(instance.fn) })),
    });
    if (victim !== null) evict(victim);
  }

  /** The tenant may have no more: the idle process of another function of its own that is worth the least makes room. */
  function makeRoomInTenant({ fn, share }: FunctionState) {
    if (now() - share.searchedAt < SEARCH_MS) return;
    share.searchedAt = now();
    let victim: Instance | null = null;
    for (const instance of instances.values()) {
      if (instance.fn.tenant !== fn.tenant) continue;
      if (instance.state === 'draining') return; // room is being made already
      if (instance.fn.id === fn.id || !isIdle(instance, now())) continue;
      if (victim === null || instance.priority < victim.priority) victim = instance;
    }
    if (victim !== null) evict(victim);
  }

  /** Deadlines of what waits, and of what drains; and now and then, what is kept. Called several times a second. */
  function tick() {
    const time = now();
    for (const state of byNeed()) {
      const starting = [...state.instances].some((instance) => instance.state === 'starting');
      for (let head = state.waiters.peek(); head !== undefined; head = state.waiters.peek()) {
        // Where a process is being started, the call's own time limit decides instead.
        const limit = starting ? state.fn.timeout_seconds * 1000 + 1000 : queueWait(state.fn);
        if (time - head.since < limit) break;
        state.waiters.shift();
        const denial = state.atQuota ? overQuota(state.fn) : overloaded(state.fn, 'every process was busy');
        actions.send(head.router, { t: 'deny', call: head.call, denial });
      }
      serve(state);
    }
    for (const instance of [...instances.values()]) {
      if (instance.state === 'draining') {
        if (!instance.loaded) continue;
        if (time >= instance.endBy) actions.end(instance, instance.retireReason ?? 'idle');
        else endIfDrained(instance);
      } else if (instance.uselessSince !== null && time - instance.uselessSince >= USELESS_MS) {
        actions.end(instance, 'background');
      }
    }
    if (time - keptAt < KEEPING_MS) return;
    keptAt = time;
    keep();
  }

  function denyAll(state: FunctionState, denial: Denial) {
    for (let waiter = state.waiters.shift(); waiter !== undefined; waiter = state.waiters.shift()) {
      actions.send(waiter.router, { t: 'deny', call: waiter.call, denial });
    }
    waiting.delete(state.fn.id);
  }

  return {
    setFunction,
    renewSecrets,
    removeFunction,
    stopTenant,
    acquire,
    cancel,
    release,
    usage,
    opened,
    measured,
    started,
    failed,
    ended,
    overdue,
    setStuck,
    stuckCalls,
    retireProcess,
    routerUp,
    routerGone,
    tick,
    functions: () => functions.values(),
    instances: () => instances.values(),
    /** What a tenant has here: processes, starting and draining ones too, and MiB that they may use. */
    shareOf: (tenant: string) => shares.find(tenant),
    shares: () => shares.all(),
    has: (functionId: string) => functions.has(functionId),
    instanceOf: (process: number) => byProcess.get(process),
    queued: () => {
      let total = 0;
      for (const state of waiting.values()) total += state.waiters.length;
      return total;
    },
  };
}

function takesCalls({ state, address, stuck }: Instance): boolean {
  return !stuck && (state === 'live' || (state === 'starting' && address !== null));
}

function key(router: number, call: number): string {
  return `${router} ${call}`;
}
