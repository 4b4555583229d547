/**
 * The hybrid histogram policy as the paper has it ("Serverless in the Wild", USENIX ATC '20, section 4.2), to compare with:
 * the window from the 5th to the 99th percentile with margins of a tenth, the whole range where the histogram has no shape,
 * and, in place of its time series for what is mostly out of bounds, the median of the last idle times with a margin of
 * 15 %. As in the supervisor, a process stays for a minute after any call, and for the fixed window until there is data.
 */
import {
  createIdleTimes,
  noteIdleTime,
  percentile,
  RANGE_MINUTES,
  variation,
} from '../../dist/supervisor/keepalive/idle_times.js';

export function paperPolicy(fixedMinutes) {
  return () => {
    const times = createIdleTimes();
    let last = null;
    return (minute) => {
      if (last !== null) noteIdleTime(times, minute - last);
      last = minute;
      return plan(times, fixedMinutes);
    };
  };
}

function plan(times, fixedMinutes) {
  const known = times.total + times.outside;
  if (known < 2) return keep(fixedMinutes);
  if (times.outside * 2 > known && times.recent.length >= 3) {
    const median = [...times.recent].sort((one, other) => one - other)[times.recent.length >> 1];
    return { keep: 1, from: Math.floor(median * 0.85), until: Math.ceil(median * 1.15) };
  }
  if (variation(times) < 2) return keep(RANGE_MINUTES);
  const from = Math.floor(percentile(times, 0.05) * 0.9);
  const until = Math.ceil((percentile(times, 0.99) + 1) * 1.1);
  return from <= 1 ? keep(until) : { keep: 1, from, until };
}

function keep(minutes) {
  return { keep: minutes, from: 0, until: 0 };
}
