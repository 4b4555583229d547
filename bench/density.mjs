// What functions cost that do nothing: deployed ones in memory, at the start and on the way of a call; live ones in memory.
import { callOnce, keptAlive } from './client.mjs';
import { load } from './load.mjs';
import { processesBelow } from './memory.mjs';
import { deploy, startHearth } from './peers/hearth.mjs';
import { untilQuiet } from './quiet.mjs';
import { folder } from './started.mjs';
import { figure, median, round } from './statistics.mjs';

const SIZES = [10, 1_000, 10_000];
const LIVE = 200;
/** Starts of a node with many functions and of one with few. */
const PAIRS = 9;
/** Deploys at once. */
const WIDTH = 16;

export async function measureDensity(options) {
  const dataDir = await folder();
  const fewDir = await folder();
  const starts = [];
  const ratios = [];
  let deployed = 0;
  for (const size of SIZES) {
    const node = await start(dataDir);
    await deployUpTo(node, deployed, size);
    deployed = size;
    await node.stop();
    if (size === SIZES[0]) {
      const few = await start(fewDir);
      await deployUpTo(few, 0, SIZES[0]);
      await few.stop();
    }
    const again = await start(dataDir);
    starts.push(again.readyMs);
    await untilQuiet();
    figure('start_by_functions', again.readyMs, 'ms', { functions: size });
    figure('node_rss_by_functions', rssOf(again), 'MiB', {
      functions: size,
      of: 'supervisor and one router',
    });
    if (size === SIZES.at(-1)) await live(again);
    await again.stop();
    ratios.push(await routingCost(dataDir, fewDir, size, size === SIZES.at(-1) ? PAIRS : 1, options));
  }
  return {
    startAddedMs: starts.at(-1) - starts[0],
    routingRatio: ratios.at(-1),
  };
}

function start(dataDir) {
  return startHearth(dataDir, { HEARTH_ROUTERS: '1' });
}

async function deployUpTo(node, from, to) {
  let next = from;
  const worker = async () => {
    while (next < to) {
      const n = next++;
      await deploy(node, `f-${n}`, `export default () => new Response("${n}");`, {
        routes: [`/many/${n}/:id`],
      });
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, worker));
}

/**
 * Calls per second of one function, against a node that has as few as there are at first; resolves with the ratio. What
 * V8 makes of the same code differs by a tenth from start to start, so nodes are started anew for each pair, by turns.
 */
async function routingCost(manyDir, fewDir, functions, pairs, options) {
  const rates = [[], []];
  for (let n = 0; n < pairs; n++)
    for (const at of n % 2 === 0 ? [0, 1] : [1, 0])
      rates[at].push(await rateOf([manyDir, fewDir][at], options));
  const ratios = rates[0].map((rate, n) => rate / rates[1][n]);
  figure('throughput_by_functions', median(rates[0]), 'requests/s', {
    functions,
    over_few: round(median(ratios)),
    rounds: ratios.map(round),
  });
  return median(ratios);
}

async function rateOf(dataDir, { rounds, seconds, warm, connections, by }) {
  const node = await start(dataDir);
  const peer = {
    url: `${node.url}/functions/v1/f-1`,
    headers: { authorization: `Bearer ${node.credentials.anon_key}` },
    connections,
    by,
  };
  await load({ ...peer, seconds: warm });
  const rates = [];
  for (let n = 0; n < rounds; n++) {
    await untilQuiet();
    rates.push((await load({ ...peer, seconds: Math.ceil(seconds / 2) })).perSecond);
  }
  await node.stop();
  return median(rates);
}

function rssOf(node) {
  const own = (processesBelow(node.pid) ?? []).filter(
    ({ kind }) => kind === 'supervisor' || kind === 'router',
  );
  return own.reduce((sum, { rss }) => sum + rss, 0);
}

/** So many functions with a process each, idle since their one call. */
async function live(node) {
  const client = keptAlive(node, 4);
  for (let n = 0; n < LIVE; n += 4)
    await Promise.all([0, 1, 2, 3].map((more) => callOnce(client, `f-${n + more}`)));
  client.close();
  await untilQuiet();
  const found = (processesBelow(node.pid) ?? []).filter(({ specialised }) => specialised);
  const sum = (of) => found.reduce((total, each) => total + each[of], 0);
  figure('live_processes_pss', sum('pss'), 'MiB', {
    processes: found.length,
    each_pss: round(sum('pss') / found.length),
    each_rss: round(sum('rss') / found.length),
  });
}
