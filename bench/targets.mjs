// What Hearth has set itself, against what was measured. Nothing fails: a target that is missed says so.
import { print, round } from './statistics.mjs';

const TARGETS = [
  ['throughput, Hearth over the bare proxy', 'ratio_b', '>=', 0.8],
  ['throughput, Hearth over the bare proxy, 16 connections', 'ratio_b_16', '>=', 0.95],
  ['throughput, Hearth over the bare proxy, 64 connections', 'ratio_b_64', '>=', 0.95],
  ['throughput, Hearth over workerd', 'ratio_c', '>=', 1],
  ['throughput, Hearth over workerd, 16 connections', 'ratio_c_16', '>=', 1.3],
  ['throughput, Hearth over workerd, 64 connections', 'ratio_c_64', '>=', 1.3],
  ['p99 at half load over its p50', 'halfLoadSpread', '<=', 3],
  ['throughput, Hearth over one deno run per call', 'ratio_d', '>=', 200],
  ['throughput, with the sandbox over without', 'ratio_g', '>=', 0.97],
  ['throughput, authenticated over unauthenticated', 'authenticated', '>=', 0.95],
  ['throughput, with telemetry over without', 'telemetry', '>=', 0.95],
  ["a tenant's p99 while another floods, over its quiet one", 'floodP99', '<=', 1.5],
  ["a tenant's calls that succeed while another floods, %", 'floodSuccess', '>=', 100],
  ['latency added to the bare proxy, p50, ms', 'addedMs', '<=', 0.1],
  ['first call, p50, ms', 'coldP50Ms', '<=', 4],
  ['first call, p99, ms', 'coldP99Ms', '<=', 12],
  ['first call in a process started ahead, over a warm one, p50, ms', 'prewarmedAddedMs', '<=', 1],
  ['first call of a 1.5 MB bundle, p50, ms', 'hugeP50Ms', '<=', 45],
  ['100 cold functions at once, all answered, ms', 'burstMs', '<=', 2500],
  ['100 cold functions at once, failed', 'burstFailed', '<=', 0],
  ["a warm neighbour's p99 meanwhile, ms", 'neighbourP99Ms', '<=', 20],
  ['one function from none to 500 calls, failed', 'surgeFailed', '<=', 0],
  ['start with 10,000 functions over that with 10, ms more', 'startAddedMs', '<=', 1000],
  ['throughput with 10,000 functions over that with 10', 'routingRatio', '>=', 0.95],
  ['idle specialised process, MiB', 'specialisedRss', '<=', 40],
  ['start, initialised data directory, ms', 'startInitialisedMs', '<=', 2000],
  ['start, empty data directory, ms', 'startEmptyMs', '<=', 6000],
];

export function printTargets(measured) {
  for (const [name, key, how, target] of TARGETS) {
    const value = measured[key];
    if (value === undefined) continue;
    const met = how === '>=' ? value >= target : value <= target;
    print({ figure: `target: ${name}`, value: round(value), target: `${how} ${target}`, met });
  }
}
