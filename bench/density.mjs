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
  const starts = [];
  const memory = [];
  let node = await startHearth(dataDir, { HEARTH_ROUTERS: '1' });
  let deployed = 0;
  const peers = [];
  for (const size of SIZES) {
    await deployUpTo(node, deployed, size);
    deployed = size;
    await node.stop();
    node = await startHearth(dataDir, { HEARTH_ROUTERS: '1' });
    starts.push(node.readyMs);
    await untilQuiet();
    memory.push(rssOf(node));
    figure('start_by_functions', node.readyMs, 'ms', { functions: size });
    figure('node_rss_by_functions', memory.at(-1), 'MiB', {
      functions: size,
      of: 'supervisor and one router',
    });
    peers.push(await routingCost(node, options));
    figure('throughput_by_functions', peers.at(-1), 'requests/s', { functions: size });
  }
  await live(node);
  await node.stop();
  return {
    startAddedMs: starts.at(-1) - starts[0],
    routingRatio: peers.at(-1) / peers[0],
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

/** Calls per second of one function, in as many rounds as the rest. */
async function routingCost(node, { rounds, seconds, connections, by }) {
  const headers = { authorization: `Bearer ${node.credentials.anon_key}` };
  const peer = { url: `${node.url}/functions/v1/f-1`, headers, connections, by };
  await load({ ...peer, seconds: 5 });
  const rates = [];
  for (let n = 0; n < rounds; n++) {
    await untilQuiet();
    rates.push((await load({ ...peer, seconds })).perSecond);
  }
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
