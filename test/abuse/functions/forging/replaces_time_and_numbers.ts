// Makes clocks run backwards and numbers something else: its own CPU time, and the limits that count it.
import { handler, note } from './taken.ts';

Date.now = () => Number.NaN;
performance.now = () => -1;
Math.round = () => -999_999_999;
(Deno as never as { cpuUsage: unknown }).cpuUsage = () => {
  note('a reading of the CPU clock');
  return { user: -1e15, system: 0 };
};
Number.prototype.toString = () => 'forged';
export default handler;
