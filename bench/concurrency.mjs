// Throughput by the number of connections, and latency at half of what a peer can do.
import { load } from './load.mjs';
import { untilQuiet } from './quiet.mjs';
import { figure, median, round } from './statistics.mjs';

const CONNECTIONS = [1, 4, 16, 64, 256];
const ROUNDS = 3;
/** Those that a target is set for. */
const MORE = new Set([16, 64]);

/** `own`: the peer that is compared. */
export async function measureConcurrency(own, peers, { seconds, warm, by }) {
  const figures = {};
  let ownPerSecond = 0;
  for (const peer of Object.values(peers)) await load({ ...peer, connections: 16, seconds: warm, by });
  for (const connections of CONNECTIONS) {
    const rates = Object.fromEntries(Object.keys(peers).map((name) => [name, []]));
    for (let n = 0; n < (MORE.has(connections) ? 2 * ROUNDS : ROUNDS); n++) {
      for (const [name, peer] of rotated(Object.entries(peers), n)) {
        await untilQuiet();
        await load({ ...peer, connections, seconds: 1, by });
        rates[name].push((await load({ ...peer, connections, seconds, by })).perSecond);
      }
    }
    for (const [name, each] of Object.entries(rates))
      figure('throughput_by_connections', median(each), 'requests/s', { peer: name, connections });
    for (const name of Object.keys(peers).filter((each) => each !== own)) {
      const ratios = rates[own].map((rate, n) => rate / rates[name][n]);
      figure(`ratio_${own}_${name}_at`, median(ratios), 'ratio', { connections, rounds: ratios.map(round) });
      figures[`ratio_${name}_${connections}`] = median(ratios);
    }
    if (connections === 64) ownPerSecond = median(rates[own]);
  }
  return { ...figures, ...(await halfLoad(own, peers, ownPerSecond, { seconds, by })) };
}

/** At as many connections, one to four, as make about half of what the own peer can do. */
async function halfLoad(own, peers, most, options) {
  let connections = 1;
  let nearest = Number.POSITIVE_INFINITY;
  for (const each of [1, 2, 3, 4]) {
    const { perSecond } = await quietLoad(peers[own], each, options);
    const off = Math.abs(perSecond - most / 2);
    if (off < nearest) [nearest, connections] = [off, each];
  }
  const figures = {};
  for (const [name, peer] of Object.entries(peers)) {
    const runs = [];
    for (let n = 0; n < ROUNDS; n++) runs.push(await quietLoad(peer, connections, options));
    const quantiles = runs[0].quantiles.map(([share], at) => [
      share,
      round(median(runs.map((run) => run.quantiles[at][1]))),
    ]);
    const spread = quantiles.at(-1)[1] / quantiles[0][1];
    figure('half_load_latency', quantiles[0][1], 'ms', {
      peer: name,
      connections,
      per_second: Math.round(median(runs.map(({ perSecond }) => perSecond))),
      quantiles,
    });
    figure('half_load_spread', spread, 'ratio', { peer: name, note: 'p99 over p50' });
    if (name === own) figures.halfLoadSpread = spread;
  }
  return figures;
}

async function quietLoad(peer, connections, { seconds, by }) {
  await untilQuiet();
  return await load({ ...peer, connections, seconds: 2 * seconds, by });
}

function rotated(list, by) {
  return list.map((_, n) => list[(n + by) % list.length]);
}
