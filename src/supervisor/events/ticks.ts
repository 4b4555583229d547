/** When schedules are due next: an ordered structure of them all, which costs nothing between two ticks. */
import { Cron } from 'croner';

export interface DueTick {
  functionId: string;
  schedule: string;
  /** Unix ms, by the schedule. */
  at: number;
}

export interface Ticks {
  /** A function has that schedule. `after`: no tick up to then (Unix ms) is its. */
  set(functionId: string, schedule: string, after: number): void;
  remove(functionId: string): void;
  scheduleOf(functionId: string): string | undefined;
  /** Unix ms of the next tick of all; null: there is none. */
  next(): number | null;
  /**
   * Takes those whose time has come: of each function the latest, if it is not older than `MAX_LATE_MS`. What is between
   * is left out, so that nothing storms after a pause.
   *
   * @param limit functions that are looked at, each of which takes up to a tenth of a millisecond; the others' time has still come.
   */
  take(now: number, limit?: number): DueTick[];
  /** It could not be made: it comes again. */
  putBack(tick: DueTick): void;
  size(): number;
}

/** ms that a tick may be late: a node was away, or its database. */
export const MAX_LATE_MS = 3_600_000;

/** Entries that the heap may have beyond twice of those that count. */
const SLACK = 64;

interface Scheduled {
  functionId: string;
  schedule: string;
  cron: Cron;
  at: number;
}

export function createTicks(): Ticks {
  const scheduled = new Map<string, Scheduled>();
  /** A binary heap by `at`; what was replaced or removed stays in it until its time. */
  const heap: Scheduled[] = [];

  function push(entry: Scheduled) {
    // Schedules that change all the time leave entries behind whose time is far away.
    if (heap.length > 2 * scheduled.size + SLACK) {
      const kept = heap.filter((each) => scheduled.get(each.functionId) === each);
      heap.length = 0;
      for (const each of kept) sift(each);
    }
    sift(entry);
  }

  function sift(entry: Scheduled) {
    let at = heap.push(entry) - 1;
    for (
      let above = (at - 1) >> 1;
      at > 0 && (heap[above] as Scheduled).at > entry.at;
      above = (at - 1) >> 1
    ) {
      heap[at] = heap[above] as Scheduled;
      heap[above] = entry;
      at = above;
    }
  }

  function pop() {
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    heap[0] = last;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = at;
      if (left < heap.length && (heap[left] as Scheduled).at < (heap[least] as Scheduled).at) least = left;
      if (right < heap.length && (heap[right] as Scheduled).at < (heap[least] as Scheduled).at) least = right;
      if (least === at) return;
      heap[at] = heap[least] as Scheduled;
      heap[least] = last;
      at = least;
    }
  }

  /** The first that is still somebody's. */
  function first(): Scheduled | undefined {
    for (;;) {
      const top = heap[0];
      if (top === undefined || scheduled.get(top.functionId) === top) return top;
      pop();
    }
  }

  /** From its tick on; a schedule may have none any more. */
  function enter(entry: Scheduled, next: number | null) {
    if (next === null) {
      scheduled.delete(entry.functionId);
      return;
    }
    const moved = { ...entry, at: next };
    scheduled.set(entry.functionId, moved);
    push(moved);
  }

  return {
    set(functionId, schedule, after) {
      const cron = cronOf(schedule);
      enter({ functionId, schedule, cron, at: 0 }, nextTick(cron, after));
    },
    remove: (functionId) => void scheduled.delete(functionId),
    scheduleOf: (functionId) => scheduled.get(functionId)?.schedule,
    next: () => first()?.at ?? null,
    take(now, limit = Number.POSITIVE_INFINITY) {
      const due: DueTick[] = [];
      // Many functions have the same schedule.
      const around = new Map<string, { last: number | null; next: number | null }>();
      let left = limit;
      for (let top = first(); top !== undefined && top.at <= now && left > 0; top = first()) {
        left--;
        pop();
        const { functionId, schedule, cron } = top;
        let times = around.get(schedule);
        if (times === undefined) {
          times = { last: lastTick(cron, now), next: nextTick(cron, now) };
          around.set(schedule, times);
        }
        const at = Math.max(top.at, times.last ?? top.at);
        if (now - at <= MAX_LATE_MS) due.push({ functionId, schedule, at });
        enter(top, times.next);
      }
      return due;
    },
    putBack({ functionId, schedule, at }) {
      const entry = scheduled.get(functionId);
      if (entry !== undefined && entry.schedule === schedule) enter(entry, Math.min(at, entry.at));
    },
    size: () => scheduled.size,
  };
}

/** UTC; checked when it was set. */
function cronOf(schedule: string): Cron {
  return new Cron(schedule, { paused: true, timezone: 'UTC' });
}

/** Unix ms of the first tick after `after`. */
function nextTick(cron: Cron, after: number): number | null {
  return cron.nextRun(new Date(after))?.getTime() ?? null;
}

/** Unix ms of the last tick up to `now`, whose own millisecond counts. */
function lastTick(cron: Cron, now: number): number | null {
  return cron.previousRuns(1, new Date(now + 1))[0]?.getTime() ?? null;
}
