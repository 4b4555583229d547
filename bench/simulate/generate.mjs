/**
 * A trace as the published distributions of Azure Functions describe one: "Serverless in the Wild: Characterizing and
 * Optimizing the Serverless Workload at a Large Cloud Provider", Shahrad et al., USENIX ATC '20 ("the paper").
 *
 * From the paper:
 * - popularity (section 3.3, figure 5): 45 % of the applications have at most one call an hour on average, 81 % at most
 *   one a minute, and rates span eight orders of magnitude; the 18.6 % most popular have 99.6 % of all calls
 * - triggers of functions (figure 2): HTTP 55.0 %, timer 15.6 %, queue 15.2 %, orchestration 6.9 %, storage 2.8 %,
 *   event 2.2 %, others 2.2 %
 * - inter-arrival times (section 3.3, figure 6): of what only timers call, about half has a coefficient of variation of 0;
 *   of what no timer calls, about a tenth is close to 0; about 40 % of all are above 1
 * - days and weeks (figure 4): about half of the load is constant, the rest follows working hours
 * - memory (section 3.5, figure 8): Burr with c = 11.652, k = 0.221, λ = 107.083 MB
 *
 * Assumed, because the paper has no numbers for it:
 * - between the published points of popularity, and beyond them, rates are spread evenly by their logarithm
 * - an application is one function, and its trigger does not depend on its rate, except that timers fire at most once a
 *   minute (figure 2: few of the calls are theirs)
 * - a timer's period is the one of `PERIODS` that is next to its rate; the half of the timers that is not strictly
 *   periodic is two timers of different periods, as in an application with several
 * - the coefficients of variation between 0 and 1 are spread evenly, those above 1 evenly by their logarithm up to 10
 * - calls are renewals with gamma intervals up to a coefficient of 1, log-normal ones above; days and weeks stretch and
 *   compress the time between them, for what people cause (HTTP, queue, storage, event, others) and not for what clocks do
 * - what is called more than ten times a minute is called in every minute
 */
import { interval, pick, poisson, seeded } from './random.mjs';

const DAY = 1440;
/** Calls a day, and the share of applications that have at most as many. */
const POPULARITY = [
  [1 / 7, 0],
  [24, 0.45],
  [1440, 0.81],
  [1e8, 1],
];
const TIMER_SHARE = 0.156;
const TRIGGERS = [
  ['http', 0.55],
  ['queue', 0.152],
  ['orchestration', 0.069],
  ['storage', 0.028],
  ['event', 0.022],
  ['others', 0.022],
];
/** Minutes. */
const PERIODS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10_080];
const BURR = { c: 11.652, k: 0.221, lambda: 107.083 };
/** MiB that a process may have at the most: the heap of the largest class. */
const MOST_MEMORY = 1024;
const DENSE = 10 * DAY;

/**
 * @returns functions with `minutes`, those in which each was called, in order, and `calls`, how often in all
 */
export function generate({ seed, functions, days }) {
  const random = seeded(seed);
  const clock = workingHours(days);
  return Array.from({ length: functions }, (_, at) => {
    const own = seeded(Math.floor(random() * 2 ** 32));
    const rate = rateOf(own);
    const timer = rate <= DAY && own() < TIMER_SHARE / 0.81;
    const trigger = timer ? 'timer' : pick(own, TRIGGERS);
    const memoryMib = memoryOf(own);
    const times = timer ? timers(own, rate, days) : calls(own, rate, days, clock, trigger);
    return { name: `app-${at}`, trigger, memoryMib, ...times };
  });
}

function rateOf(random) {
  const share = random();
  const above = POPULARITY.findIndex(([, most]) => share < most);
  const [[low, from], [high, to]] = [POPULARITY[above - 1], POPULARITY[above]];
  return low * (high / low) ** ((share - from) / (to - from));
}

function memoryOf(random) {
  const { c, k, lambda } = BURR;
  return Math.min(MOST_MEMORY, lambda * ((1 - random()) ** (-1 / k) - 1) ** (1 / c));
}

function timers(random, rate, days) {
  const alone = random() < 0.5;
  const periods = alone ? [periodOf(rate)] : [periodOf(rate / 2), periodOf(rate / 2 / (1 + random() * 3))];
  const counts = new Map();
  for (const period of periods) {
    for (let at = Math.floor(random() * period); at < days * DAY; at += period)
      counts.set(at, (counts.get(at) ?? 0) + 1);
  }
  return fromCounts(counts);
}

function periodOf(rate) {
  const distance = (period) => Math.abs(Math.log(DAY / rate / period));
  return PERIODS.reduce((best, period) => (distance(period) < distance(best) ? period : best));
}

function calls(random, rate, days, clock, trigger) {
  const byPeople = trigger !== 'orchestration';
  const at = byPeople ? clock.at : (spent) => spent;
  const counts = new Map();
  if (rate > DENSE) {
    for (let minute = 0; minute < days * DAY; minute++) {
      const load = byPeople ? clock.load(minute) : 1;
      counts.set(minute, Math.max(1, poisson(random, (rate / DAY) * load)));
    }
    return fromCounts(counts);
  }
  const kind = random();
  const spread = random();
  // A tenth close to 0; enough above 1 for two fifths of all.
  const variation = kind < 0.1 ? 0.02 : kind < 0.5 ? 0.1 + 0.9 * spread : 10 ** spread;
  const mean = DAY / rate;
  // What is close to 0 is a clock elsewhere: it knows no working hours.
  const place = kind < 0.1 ? (spent) => spent : at;
  for (let spent = random() * mean; spent < days * DAY; spent += mean * interval(random, variation)) {
    const minute = Math.floor(place(spent));
    counts.set(minute, (counts.get(minute) ?? 0) + 1);
  }
  return fromCounts(counts);
}

function fromCounts(counts) {
  const minutes = Int32Array.from(counts.keys()).sort();
  let total = 0;
  for (const count of counts.values()) total += count;
  return { minutes, calls: total };
}

/** Load over the hours of the day and the days of the week, 1 on average, and the time by which so much of it is spent. */
function workingHours(days) {
  const shape = Float64Array.from({ length: days * DAY }, (_, minute) => {
    const hour = (minute % DAY) / 60;
    const workday = Math.floor(minute / DAY) % 7 < 5 ? 1 : 0.5;
    const hours = Math.max(0, Math.sin(((hour - 6) / 14) * Math.PI));
    return 0.5 + 0.9 * workday * (hour > 6 && hour < 20 ? hours : 0);
  });
  const mean = shape.reduce((sum, load) => sum + load, 0) / shape.length;
  const spent = new Float64Array(shape.length + 1);
  for (let minute = 0; minute < shape.length; minute++)
    spent[minute + 1] = spent[minute] + shape[minute] / mean;
  return {
    load: (minute) => shape[minute] / mean,
    /** The minute at which `amount` of load, in minutes of the average one, has passed. */
    at(amount) {
      let [low, high] = [0, shape.length];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (spent[middle] <= amount) low = middle;
        else high = middle;
      }
      return low + (amount - spent[low]) / (spent[high] - spent[low]);
    },
  };
}
