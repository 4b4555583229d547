// The benchmark: Hearth and its peers, started and measured side by side in one run. One JSON line per figure.
import { parseArgs } from 'node:util';
import { measureAccounts } from './accounts.mjs';
import { measureBundles } from './bundles.mjs';
import { measureBursts } from './bursts.mjs';
import { measureCold } from './cold.mjs';
import { measureConcurrency } from './concurrency.mjs';
import { measureDensity } from './density.mjs';
import { loader } from './load.mjs';
import { measureMemory, measureSpecialised } from './memory_figures.mjs';
import { startDenoServe } from './peers/deno_serve.mjs';
import { hearthPeer, startHearth } from './peers/hearth.mjs';
import { startProcessPerCall } from './peers/process_per_call.mjs';
import { startProxy } from './peers/proxy.mjs';
import { startWorkerd } from './peers/workerd.mjs';
import { measurePrewarmed } from './prewarm.mjs';
import { writeReport } from './report.mjs';
import { measurePrice } from './sandbox.mjs';
import { measureStart } from './start_times.mjs';
import { folder, isStopping, stopAll, stopOnSignals } from './started.mjs';
import { lines } from './statistics.mjs';
import { printTargets } from './targets.mjs';
import { measureTelemetry } from './telemetry.mjs';
import { measureTenants } from './tenants.mjs';
import { measureLatency, measureRatios } from './throughput.mjs';
import { printVersions } from './versions.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    warm: { type: 'string', default: '6' },
    connections: { type: 'string', default: '16' },
    cold: { type: 'string', default: '30' },
    starts: { type: 'string', default: '3' },
    load: { type: 'string', default: 'wrk' },
    /** Parts of the whole, separated by commas. */
    only: { type: 'string' },
    /** Whether docs/benchmarks.md is written, with its charts. */
    report: { type: 'boolean', default: false },
  },
});
const options = {
  rounds: Number(values.rounds),
  seconds: Number(values.seconds),
  warm: Number(values.warm),
  connections: Number(values.connections),
  cold: Number(values.cold),
  starts: Number(values.starts),
  by: loader(values.load),
};

/** What there is to measure, in its order. Each resolves with figures for the targets. */
const PARTS = {
  node: measureNode,
  prewarm: () => measurePrewarmed(options),
  throughput: measureThroughput,
  concurrency: measureConnections,
  bundles: measureBundles,
  bursts: measureBursts,
  density: () => measureDensity(options),
  sandbox: () => measurePrice(options),
  tenants: () => measureTenants(options),
  telemetry: () => measureTelemetry(options),
};
const only = values.only === undefined ? Object.keys(PARTS) : values.only.split(',');
if (only.some((part) => !Object.hasOwn(PARTS, part))) {
  console.error(`--only takes ${Object.keys(PARTS).join(', ')}, separated by commas`);
  process.exit(2);
}

stopOnSignals();
try {
  await bench();
} catch (error) {
  // After Ctrl-C every measurement fails: the signal's own handler ends the benchmark.
  if (!isStopping()) {
    process.exitCode = 1;
    console.error(error);
  }
} finally {
  await stopAll();
}

async function bench() {
  printVersions(options);
  const figures = {};
  for (const part of only) Object.assign(figures, await PARTS[part]());
  printTargets(figures);
  if (values.report) await writeReport(lines(), options);
}

/** A node as it starts, and the first calls on it. */
async function measureNode() {
  const { node, figures } = await measureStart(options);
  const memory = await measureMemory(node);
  const cold = await measureCold(node, options);
  const specialised = await measureSpecialised(node);
  await node.stop();
  return { ...figures, ...memory, ...cold, ...specialised };
}

async function measureThroughput() {
  const others = {
    a: await startDenoServe(),
    b: await startProxy(),
    c: await startWorkerd(),
    d: await startProcessPerCall(),
  };
  const node = await startHearth(await folder());
  await measureRatios('f', { b: others.b, c: others.c, f: await hearthPeer(node) }, options);
  await node.stop();
  // One router, as the other peers are one process. No other node beside it: an idle one is not quite idle.
  const one = await startHearth(await folder(), { HEARTH_ROUTERS: '1' });
  const peers = { ...others, e: await hearthPeer(one) };
  const throughput = await measureRatios('e', peers, options);
  const latency = await measureLatency({ b: peers.b, e: peers.e }, options);
  await measureAccounts(one, throughput.calls + latency.calls);
  await one.stop();
  return { ...throughput, ...latency };
}

async function measureConnections() {
  const node = await startHearth(await folder());
  const peers = { b: await startProxy(), c: await startWorkerd(), f: await hearthPeer(node) };
  const figures = await measureConcurrency('f', peers, options);
  await node.stop();
  return figures;
}
