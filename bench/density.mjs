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
/** Deploys at once. */
const WIDTH = 16;

export async function measureDensity(options) {
  const dataDir = await folder();
  const fewDir = await folder();
  const starts = [];
  const ratios = [];
  let node = await startHearth(dataDir, { HEARTH_ROUTERS: '1' });
  let deployed = 0;
  for (const size of SIZES) {
    await deployUpTo(node, deployed, size);
    deployed = size;
    await node.stop();
    node = await startHearth(dataDir, { HEARTH_ROUTERS: '1' });
    starts.push(node.readyMs);
    await untilQuiet();
    figure('start_by_functions', node.readyMs, 'ms', { functions: size });
    figure('node_rss_by_functions', rssOf(node), 'MiB', {
      functions: size,
      of: 'supervisor and one router',
    });
    const few = await startHearth(fewDir, { HEARTH_ROUTERS: '1' });
    if (size === SIZES[0]) await deployUpTo(few, 0, SIZES[0]);
    ratios.push(await routingCost(node, few, size, options));
    await few.stop();
  }
  await live(node);
  await node.stop();
  return {
    startAddedMs: starts.at(-1) - starts[0],
    routingRatio: ratios.at(-1),
  };
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

/** Calls per second of one function, by turns with a node that has as few as there are at first; resolves with the ratio. */
async function routingCost(node, few, functions, { rounds, seconds, connections, by }) {
  const peers = [node, few].map(({ url, credentials }) => ({
    url: `${url}/functions/v1/f-1`,
    headers: { authorization: `Bearer ${credentials.anon_key}` },
    connections,
    by,
  }));
  for (const peer of peers) await load({ ...peer, seconds: 5 });
  const rates = peers.map(() => []);
  for (let n = 0; n < 2 * rounds; n++) {
    for (const at of n % 2 === 0 ? [0, 1] : [1, 0]) {
      await untilQuiet();
      await load({ ...peers[at], seconds: 1 });
      rates[at].push((await load({ ...peers[at], seconds })).perSecond);
    }
  }
  const ratios = rates[0].map((rate, n) => rate / rates[1][n]);
  figure('throughput_by_functions', median(rates[0]), 'requests/s', {
    functions,
    over_few: round(median(ratios)),
    rounds: ratios.map(round),
  });
  return median(ratios);
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
