// The simulator of the keep-alive policy: how many calls find no process, and how much memory idle processes hold, on a
// generated trace or on one of Azure's. docs/keepalive.md says how to read it.
import { parseArgs } from 'node:util';
import { generate } from './generate.mjs';
import { paperPolicy } from './paper.mjs';
import { fixedWindows, replay, replayFixed, replayPolicy } from './replay.mjs';
import { readTrace } from './trace.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    functions: { type: 'string', default: '2000' },
    days: { type: 'string', default: '7' },
    /** Files in the layout of the Azure Functions trace, one a day; more may follow. */
    trace: { type: 'string', multiple: true, default: [] },
    by: { type: 'string', default: 'function' },
    memory: { type: 'string' },
    /** Also print what was generated, as one line of JSON a function. */
    list: { type: 'boolean', default: false },
  },
});
const FIXED = 10;

function number(name, least) {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= least) return value;
  console.error(`--${name} must be a whole number from ${least}`);
  process.exit(2);
}
if (!['app', 'function'].includes(values.by)) {
  console.error('--by must be app or function');
  process.exit(2);
}

const files = [...values.trace, ...positionals];
const trace = await load();
if (values.list) {
  for (const { minutes, ...fn } of trace.functions)
    console.log(JSON.stringify({ ...fn, minutes_with_calls: minutes.length }));
}

async function load() {
  if (files.length > 0) {
    return await readTrace({ files, by: values.by, memory: values.memory }).catch((error) => {
      console.error(error.message);
      process.exit(1);
    });
  }
  const days = number('days', 1);
  return { functions: generate({ seed: number('seed', 0), functions: number('functions', 1), days }), days };
}

const calls = trace.functions.reduce((sum, fn) => sum + fn.calls, 0);
const origin = files.length > 0 ? files.join(' ') : `generated with seed ${values.seed}`;
console.log(`${trace.functions.length} functions, ${calls} calls, ${trace.days} days (${origin})\n`);

const fixed = replayFixed(trace, FIXED);
const policy = replayPolicy(trace, { fixedMinutes: FIXED });
const windows = fixedWindows(trace);
/** Price of a cold start → what the policy does at it. */
const priced = new Map();

const columns = [
  ['', 34],
  ['cold starts', 12],
  ['of calls', 13],
  ['median', 9],
  ['75th', 9],
  ['waste GiB h', 13],
  ['starts', 10],
];
console.log(
  columns.map(([name, width], at) => (at === 0 ? name.padEnd(width) : name.padStart(width))).join(''),
);
row('fixed 10 minutes', fixed);
row('fixed 20 minutes', replayFixed(trace, 20));
row('the paper: percentiles alone', replay(trace, paperPolicy(FIXED)));
row('policy', policy);
const equal = atWaste(fixed.wastedGibHours);
row(`policy at the waste of fixed ${FIXED}`, equal.result);
console.log(
  '\nmedian, 75th: of the share of cold starts over the functions; starts: processes, for calls and ahead of them\n',
);

const sameWaste = windows.find(({ wastedGibHours }) => wastedGibHours >= policy.wastedGibHours);
const sameCold = windows.find(({ cold }) => cold <= policy.cold);
console.log(
  `at the waste of fixed ${FIXED} minutes (a cold start worth ${equal.worth} idle minutes): ${change(equal.result.cold, fixed.cold, 'fewer')} cold starts`,
);
console.log(
  sameWaste === undefined
    ? 'no fixed window wastes as much as the policy'
    : `at the policy's waste, which is that of fixed ${sameWaste.minutes} minutes: ${change(policy.cold, sameWaste.cold, 'fewer')} cold starts`,
);
console.log(
  sameCold === undefined
    ? 'no fixed window has as few cold starts as the policy'
    : `at the policy's cold starts, which are those of fixed ${sameCold.minutes} minutes: ${change(policy.wastedGibHours, sameCold.wastedGibHours, 'less')} waste`,
);
const least = atCold(fixed.cold);
console.log(
  `at the cold starts of fixed ${FIXED} minutes (a cold start worth ${least.worth} idle minutes): ${change(least.result.wastedGibHours, fixed.wastedGibHours, 'less')} waste`,
);

function row(name, result) {
  const cells = [
    `${result.cold}`,
    `${result.coldPercent.toFixed(6)} %`,
    `${result.medianPercent.toFixed(1)} %`,
    `${result.upperPercent.toFixed(1)} %`,
    result.wastedGibHours.toFixed(0),
    `${result.starts}`,
  ];
  console.log(
    name.padEnd(columns[0][1]) + cells.map((cell, at) => cell.padStart(columns[at + 1][1])).join(''),
  );
}

function change(mine, theirs, less) {
  const percent = 100 * (1 - mine / theirs);
  return percent >= 0 ? `${percent.toFixed(0)} % ${less}` : `${(-percent).toFixed(0)} % more`;
}

/** The highest price of a cold start at which the policy wastes at the most `most`. */
function atWaste(most) {
  return highest((result) => result.wastedGibHours <= most);
}

/** The lowest price at which it has at the most `most` cold starts. */
function atCold(most) {
  const { worth } = highest((result) => result.cold > most);
  return at(worth + 1);
}

/** By halving: whole idle minutes, 1 if there is none. */
function highest(holds) {
  let [low, high] = [1, 129];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (holds(at(middle).result)) low = middle;
    else high = middle;
  }
  return at(low);
}

function at(worth) {
  if (!priced.has(worth))
    priced.set(worth, replayPolicy(trace, { fixedMinutes: FIXED, worthMinutes: worth }));
  return { worth, result: priced.get(worth) };
}
