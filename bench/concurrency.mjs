// Throughput by the number of connections, and latency at half of what a peer can do.
import { load } from './load.mjs';
import { untilQuiet } from './quiet.mjs';
import { figure, median, round } from './statistics.mjs';

const CONNECTIONS = [1, 4, 16, 64, 256];
const ROUNDS = 3;

/** `own`: the peer that is compared. */
export async function measureConcurrency(own, peers, { seconds, by }) {
  const figures = {};
  let ownPerSecond = 0;
  for (const connections of CONNECTIONS) {
    const rates = Object.fromEntries(Object.keys(peers).map((name) => [name, []]));
    for (let n = 0; n < ROUNDS; n++) {
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
  return { ...figures, ...(await halfLoad(peers[own], ownPerSecond / 2, { seconds, by })) };
}

/** At as many connections, one to four, as make about half of what it can do. */
async function halfLoad(peer, perSecond, { seconds, by }) {
  let nearest = null;
  for (const connections of [1, 2, 3, 4]) {
    await untilQuiet();
    const result = { connections, ...(await load({ ...peer, connections, seconds: 2 * seconds, by })) };
    const off = Math.abs(result.perSecond - perSecond);
    if (nearest === null || off < Math.abs(nearest.perSecond - perSecond)) nearest = result;
  }
  const { quantiles, connections } = nearest;
  const spread = quantiles.at(-1)[1] / quantiles[0][1];
  figure('half_load_latency', quantiles[0][1], 'ms', {
    connections,
    per_second: Math.round(nearest.perSecond),
    of: Math.round(2 * perSecond),
    quantiles: quantiles.map(([share, ms]) => [share, round(ms)]),
  });
  figure('half_load_spread', spread, 'ratio', { note: 'p99 over p50' });
  return { halfLoadSpread: spread };
}

function rotated(list, by) {
  return list.map((_, n) => list[(n + by) % list.length]);
}
