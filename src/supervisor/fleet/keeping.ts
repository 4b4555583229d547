/**
 * Processes that nothing calls: when they end, which are started ahead of a call, and how much memory all of them may
 * have. The fleet tells what happens and acts on the answers.
 */
import type { FunctionMeta } from '../../store/types.js';
import { clockAfter, priorityOf, victims } from '../keepalive/greedy_dual.js';
import { type Habit, type KeepAlive, newHabit, noteUse, planOf } from '../keepalive/habit.js';
import type { Instance } from './instance.js';
import { isIdle } from './scaling.js';

/** What decides about a function's processes. */
export interface Kept {
  readonly habit: Habit;
  /** Calls since it has processes. */
  uses: number;
  /** ms that its last process took to start. */
  costMs: number;
  /** MiB that the last measured of its processes has. */
  memoryMib: number;
}

export interface KeepingOptions {
  now(): number;
  keepAlive: KeepAlive;
  /** MiB of resident memory that the processes of functions may have together. */
  memoryMib: number;
  /** A process that was started ahead got a call, or ended without one. */
  onPrewarmed(fn: FunctionMeta, outcome: 'used' | 'wasted'): void;
}

/** ms without a call after which a process gives memory back, and for which it has to be kept then for that to be worth it. */
const TRIM_AFTER_MS = 30_000;
const TRIM_FOR_MS = 60_000;
/**
 * MiB that it must have more than it was left with, or than a process has whose function holds nothing. Less is not worth
 * it: a collection takes some 10 ms of CPU, and brings 1.5 MiB of Deno's own code into memory that was not used before.
 */
const TRIM_WORTH_MIB = 4;
/** MiB of a process that was not measured yet: a small function's. */
const USUAL_MIB = 48;

export type Keeping = ReturnType<typeof createKeeping>;

export function createKeeping(options: KeepingOptions) {
  const { now, keepAlive } = options;
  /** Functions without a process that get one ahead of their next call → when. Unix ms. */
  const ahead = new Map<string, { from: number; until: number }>();
  let processes = 0;
  let usedMib = 0;
  /** Greedy-dual's. */
  let clock = 0;

  function revalue(kept: Kept, instance: Instance) {
    instance.priority = priorityOf(clock, { ...kept, memoryMib: instance.memoryMib });
  }

  /** The function has no process any more: when will it want one? A time that has come already is over. */
  function plan(id: string, kept: Kept) {
    const { lastUsedAt } = kept.habit;
    const { prewarm } = planOf(kept.habit, keepAlive);
    if (prewarm === null || lastUsedAt === null || now() >= lastUsedAt + prewarm.fromMs) return;
    ahead.set(id, { from: lastUsedAt + prewarm.fromMs, until: lastUsedAt + prewarm.untilMs });
  }

  return {
    newFunction: (): Kept => ({ habit: newHabit(), uses: 0, costMs: 0, memoryMib: USUAL_MIB }),

    forget(id: string) {
      ahead.delete(id);
    },

    /** A call asks for a slot. */
    called(id: string, kept: Kept) {
      noteUse(kept.habit, now());
      ahead.delete(id);
    },

    /** Calls were, or are, on the process; not asked for each of them. */
    used(kept: Kept, instance: Instance, calls: number) {
      instance.lastUsed = now();
      instance.trimmed = false;
      noteUse(kept.habit, instance.lastUsed);
      kept.uses += calls;
      revalue(kept, instance);
      if (instance.aheadUntil === null) return;
      instance.aheadUntil = null;
      options.onPrewarmed(instance.fn, 'used');
    },

    starting(kept: Kept, instance: Instance, isAhead: boolean) {
      processes++;
      instance.memoryMib = kept.memoryMib;
      usedMib += instance.memoryMib;
      const { lastUsedAt } = kept.habit;
      const { prewarm } = planOf(kept.habit, keepAlive);
      if (isAhead) instance.aheadUntil = (lastUsedAt ?? now()) + (prewarm?.untilMs ?? keepAlive.fixedMs);
    },

    started(kept: Kept, instance: Instance) {
      kept.costMs = now() - instance.bornAt;
      instance.lastUsed = now();
      revalue(kept, instance);
    },

    measured(kept: Kept | undefined, instance: Instance, memoryMib: number) {
      usedMib += memoryMib - instance.memoryMib;
      instance.memoryMib = memoryMib;
      if (instance.trimmed) instance.restMib = Math.min(instance.restMib, memoryMib);
      if (kept !== undefined) kept.memoryMib = memoryMib;
    },

    /** @param last whether it was the function's last process; `kept` is undefined where the function is gone too. */
    ended(kept: Kept | undefined, instance: Instance, last: boolean) {
      processes--;
      usedMib -= instance.memoryMib;
      if (kept === undefined) return;
      if (instance.aheadUntil !== null) options.onPrewarmed(instance.fn, 'wasted');
      if (!last) return;
      kept.uses = 0;
      plan(instance.fn.id, kept);
    },

    /**
     * Whether an idle process has been kept for long enough. The plan is for the function's last one; others, which more
     * calls at once wanted, stay no longer than the fixed window.
     */
    isExpired(kept: Kept, instance: Instance, hasOthers: () => boolean): boolean {
      if (instance.aheadUntil !== null) return now() >= instance.aheadUntil;
      const idleMs = now() - instance.lastUsed;
      const { keepMs } = planOf(kept.habit, keepAlive);
      return idleMs >= keepMs || (idleMs >= keepAlive.fixedMs && hasOthers());
    },

    /** Whether an idle process is to give back memory now: once in each long idle time, where there is some to give. */
    shouldTrim(kept: Kept, instance: Instance): boolean {
      if (instance.trimmed || instance.memoryMib < instance.restMib + TRIM_WORTH_MIB) return false;
      const idleMs = now() - instance.lastUsed;
      if (idleMs < TRIM_AFTER_MS) return false;
      const leftMs =
        instance.aheadUntil === null
          ? planOf(kept.habit, keepAlive).keepMs - idleMs
          : instance.aheadUntil - now();
      if (leftMs < TRIM_FOR_MS) return false;
      instance.trimmed = true;
      instance.restMib = instance.memoryMib;
      return true;
    },

    hasRoomFor: (kept: Kept) => processes === 0 || usedMib + kept.memoryMib <= options.memoryMib,

    evicted(instance: Instance) {
      clock = clockAfter(clock, instance);
    },

    /** Idle processes that have to end so that the node is within its memory again. */
    tooMany(instances: Iterable<Instance>): Instance[] {
      let excess = usedMib - options.memoryMib;
      if (excess <= 0) return [];
      const idle: Instance[] = [];
      for (const instance of instances) {
        if (instance.state === 'draining') excess -= instance.memoryMib;
        else if (isIdle(instance, now())) idle.push(instance);
      }
      return victims(idle, excess);
    },

    /** Functions that want a process now: each until it has one, or its time is over. */
    due(): string[] {
      const time = now();
      const ids: string[] = [];
      for (const [id, { from, until }] of ahead) {
        if (time >= until) ahead.delete(id);
        else if (time >= from) ids.push(id);
      }
      return ids;
    },
  };
}
