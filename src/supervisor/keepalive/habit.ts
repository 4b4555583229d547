/**
 * When a function is called, as far as that decides about its processes: its last use, its idle times, and the plan that
 * follows from them. Kept as long as the function is known, about 830 bytes for one that has been idle; a start of the node begins anew.
 */
import { createIdleTimes, type IdleTimes, noteIdleTime } from './idle_times.js';
import { type Plan, planFor } from './plan.js';

const MINUTE_MS = 60_000;

export interface Habit {
  /** Unix ms; null: not used yet. */
  lastUsedAt: number | null;
  /** Null until the first idle time. */
  times: IdleTimes | null;
  /** Null: to be made anew. */
  plan: Plan | null;
}

export interface KeepAlive {
  /** ms; the window of a function of which too little is known. */
  fixedMs: number;
  /** Minutes of an idle process that one cold start is worth; unset: what the supervisor takes. */
  worthMinutes?: number;
}

export function newHabit(): Habit {
  return { lastUsedAt: null, times: null, plan: null };
}

/** The function is in use at `at` (Unix ms). What lies between two uses is an idle time if it is a minute or more. */
export function noteUse(habit: Habit, at: number): void {
  const idleMs = habit.lastUsedAt === null ? 0 : at - habit.lastUsedAt;
  habit.lastUsedAt = at;
  if (idleMs < MINUTE_MS) return;
  habit.times ??= createIdleTimes();
  noteIdleTime(habit.times, idleMs / MINUTE_MS);
  habit.plan = null;
}

export function planOf(habit: Habit, { fixedMs, worthMinutes }: KeepAlive): Plan {
  habit.plan ??= planFor(habit.times, fixedMs, worthMinutes);
  return habit.plan;
}
