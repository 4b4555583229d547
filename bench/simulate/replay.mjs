/**
 * Replays a trace against a way to keep processes, and counts what it costs.
 *
 * As in the paper's simulation (section 5.1) executions take no time, and a function has one process: calls of one minute
 * come together. Of two minutes with calls that follow each other, the later one's are never cold. A cold start is a call
 * without a process; waste is what the process of a function holds in the minutes in which nothing calls it.
 */
import { newHabit, noteUse, planOf } from '../../dist/supervisor/keepalive/habit.js';

const MINUTE_MS = 60_000;
const MIB_MINUTES_IN_A_GIB_HOUR = 1024 * 60;

/** The policy of the supervisor. `worthMinutes`: another price than its own. */
export function replayPolicy(trace, { fixedMinutes, worthMinutes }) {
  const keepAlive = {
    fixedMs: fixedMinutes * MINUTE_MS,
    ...(worthMinutes === undefined ? {} : { worthMinutes }),
  };
  return replay(trace, () => {
    const habit = newHabit();
    return (minute) => {
      noteUse(habit, minute * MINUTE_MS);
      const { keepMs, prewarm } = planOf(habit, keepAlive);
      return {
        keep: keepMs / MINUTE_MS,
        from: prewarm === null ? 0 : prewarm.fromMs / MINUTE_MS,
        until: prewarm === null ? 0 : prewarm.untilMs / MINUTE_MS,
      };
    };
  });
}

export function replayFixed(trace, minutes) {
  const plan = { keep: minutes, from: 0, until: 0 };
  return replay(trace, () => () => plan);
}

/** @param begin makes, for each function, what tells after each minute with calls how its process is held. */
export function replay({ functions, days }, begin) {
  const end = days * 1440;
  const shares = [];
  let cold = 0;
  let calls = 0;
  let wasted = 0;
  let starts = 0;
  for (const fn of functions) {
    const next = begin(fn);
    const { minutes } = fn;
    let coldHere = 1;
    let wastedHere = 0;
    for (let at = 0; at < minutes.length; at++) {
      const { keep, from, until } = next(minutes[at]);
      const last = at + 1 === minutes.length;
      const gap = (last ? end : minutes[at + 1]) - minutes[at];
      // The minutes 1 to gap - 1 after this one are without calls.
      wastedHere += Math.min(gap - 1, keep);
      if (until > 0 && gap > from) {
        wastedHere += Math.min(gap - 1, until) - Math.min(gap - 1, from);
        starts++;
      }
      const warm = gap <= Math.max(1, keep) || (until > 0 && gap >= from && gap <= until);
      if (!last && !warm) coldHere++;
    }
    cold += coldHere;
    calls += fn.calls;
    wasted += wastedHere * fn.memoryMib;
    shares.push(coldHere / fn.calls);
  }
  shares.sort((one, other) => one - other);
  const percentile = (share) => shares[Math.min(shares.length - 1, Math.floor(shares.length * share))];
  return {
    cold,
    coldPercent: (100 * cold) / calls,
    medianPercent: 100 * percentile(0.5),
    upperPercent: 100 * percentile(0.75),
    wastedGibHours: wasted / MIB_MINUTES_IN_A_GIB_HOUR,
    /** Processes started for a call and ahead of one. */
    starts: cold + starts,
  };
}

/** Every fixed window at once, in minutes up to `most`: `[{ minutes, cold, wastedGibHours }]`. */
export function fixedWindows({ functions, days }, most = 2 * 1440) {
  const end = days * 1440;
  const counts = new Float64Array(most + 2);
  const memory = new Float64Array(most + 2);
  for (const { minutes, memoryMib } of functions) {
    for (let at = 0; at < minutes.length; at++) {
      const last = at + 1 === minutes.length;
      const gap = Math.min(most + 1, (last ? end : minutes[at + 1]) - minutes[at]);
      memory[gap] += memoryMib;
      if (!last) counts[gap]++;
    }
  }
  let cold = functions.length + counts.reduce((sum, count) => sum + count, 0) - counts[1];
  /** MiB of the gaps in whose minute `window` nothing calls. */
  let open = memory.reduce((sum, mib) => sum + mib, 0) - memory[0] - memory[1];
  let wasted = 0;
  const windows = [];
  for (let window = 1; window <= most; window++) {
    if (window > 1) cold -= counts[window];
    wasted += open;
    windows.push({ minutes: window, cold, wastedGibHours: wasted / MIB_MINUTES_IN_A_GIB_HOUR });
    open -= memory[window + 1];
  }
  return windows;
}
