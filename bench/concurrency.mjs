// Throughput by the number of connections, and latency at half of what a peer can do.
import { load } from './load.mjs';
import { untilQuiet } from './quiet.mjs';
import { figure, median, round } from './statistics.mjs';

const CONNECTIONS = [1, 4, 16, 64, 256];
const ROUNDS = 3;
const HALF_LOAD_ROUNDS = 5;
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

/** So many connections are tried, each of which pauses for up to 3 ms after an answer. */
const PAUSING = [16, 24, 32, 40, 48];

/** With as many pausing connections as make about half of what the own peer can do. */
async function halfLoad(own, peers, most, options) {
  let connections = 0;
  let nearest = Number.POSITIVE_INFINITY;
  for (const each of PAUSING) {
    const { perSecond } = await pausingLoad(peers[own], each, options);
    const off = Math.abs(perSecond - most / 2);
    if (off < nearest) [nearest, connections] = [off, each];
  }
  const figures = {};
  const runs = Object.fromEntries(Object.keys(peers).map((name) => [name, []]));
  for (let n = 0; n < HALF_LOAD_ROUNDS; n++)
    for (const [name, peer] of rotated(Object.entries(peers), n))
      runs[name].push(await pausingLoad(peer, connections, options));
  for (const [name, each] of Object.entries(runs)) {
    const quantiles = each[0].quantiles.map(([share], at) => [
      share,
      round(median(each.map((run) => run.quantiles[at][1]))),
    ]);
    figure('half_load_latency', quantiles[0][1], 'ms', {
      peer: name,
      connections,
      per_second: Math.round(median(each.map(({ perSecond }) => perSecond))),
      quantiles,
    });
    const spreads = each.map((run) => run.quantiles.at(-1)[1] / run.quantiles[0][1]);
    figure('half_load_spread', median(spreads), 'ratio', {
      peer: name,
      note: 'p99 over p50',
      rounds: spreads.map(round),
    });
    if (name === own) figures.halfLoadSpread = median(spreads);
  }
  return figures;
}

async function pausingLoad(peer, connections, { seconds, by }) {
  await untilQuiet();
  await load({ ...peer, connections, seconds: 1, by, pauses: true });
  return await load({ ...peer, connections, seconds: 2 * seconds, by, pauses: true });
}

function rotated(list, by) {
  return list.map((_, n) => list[(n + by) % list.length]);
}
