// Throughput and latency of the peers, in rounds: each peer once per round, in an order that moves on with every round.
import { ANSWER } from './hello.mjs';
import { load } from './load.mjs';
import { untilQuiet } from './quiet.mjs';
import { figure, median, round } from './statistics.mjs';

/** Seconds at the start of each turn that do not count: a peer that was idle has to come back into memory and caches. */
const REENTRY_S = 1;

const NAMES = {
  a: 'Deno.serve on TCP',
  b: 'node:http, undici, Unix socket, Deno.serve',
  c: 'workerd',
  d: 'one deno run per call',
  e: 'Hearth, one router',
  f: 'Hearth, a router for each core',
  g: 'Hearth, one router, no sandbox but Deno’s permissions',
  h: 'Hearth, one router, an anon key on each call',
  i: 'Hearth, one router, a function for everyone, no credential',
  j: 'Hearth, one router, no telemetry',
  k: 'Hearth, one router, metrics, logs and 20 traces a second to a collector',
  l: 'Hearth, one router, metrics, logs and every trace to a collector',
};

/** The throughput of each peer, and that of `own` over each of the others, round by round. */
export async function measureRatios(own, peers, options) {
  const { connections } = options;
  const { runs, calls } = await inRounds(peers, options);
  const figures = { calls };
  for (const [peer, results] of Object.entries(runs)) {
    const rates = results.map(({ perSecond }) => perSecond);
    figure(`throughput_${peer}`, median(rates), 'requests/s', {
      peer: NAMES[peer],
      connections,
      p50_ms: round(median(results.map(({ p50Ms }) => p50Ms))),
      failed: results.reduce((sum, { failed }) => sum + failed, 0),
      rounds: rates.map(round),
    });
  }
  for (const peer of Object.keys(peers).filter((name) => name !== own)) {
    const ratios = runs[own].map(({ perSecond }, n) => perSecond / runs[peer][n].perSecond);
    figures[`ratio_${peer}`] = median(ratios);
    figure(`ratio_${own}_${peer}`, median(ratios), 'ratio', { rounds: ratios.map(round) });
  }
  return figures;
}

/** At one connection: what Hearth adds to the bare proxy. */
export async function measureLatency(peers, options) {
  const { runs, calls } = await inRounds(peers, { ...options, connections: 1, warm: 1 });
  const p50 = (peer) => runs[peer].map(({ p50Ms }) => p50Ms);
  for (const peer of Object.keys(peers))
    figure(`latency_p50_${peer}`, median(p50(peer)), 'ms', { peer: NAMES[peer], connections: 1 });
  const added = p50('e').map((ms, n) => ms - p50('b')[n]);
  figure('latency_added', median(added), 'ms', { over: NAMES.b, rounds: added.map(round) });
  return { addedMs: median(added), calls };
}

/** `warm`: seconds before the first round, in which V8 compiles what is hot. */
async function inRounds(peers, { rounds, seconds, warm, connections, by }) {
  const names = Object.keys(peers);
  const runs = Object.fromEntries(names.map((name) => [name, []]));
  let calls = 0;
  const run = async (name, length) => {
    const result = await load({ ...peers[name], connections, seconds: length, by });
    if (name === 'e') calls += result.requests;
    return result;
  };
  for (const name of names) {
    await check(name, peers[name]);
    if (name === 'e') calls++;
    await run(name, warm);
  }
  for (let n = 0; n < rounds; n++) {
    for (let at = 0; at < names.length; at++) {
      const name = names[(n + at) % names.length];
      await untilQuiet();
      await run(name, REENTRY_S);
      runs[name].push(await run(name, seconds));
    }
  }
  return { runs, calls };
}

async function check(name, { url, headers }) {
  const answer = await fetch(url, { headers });
  const text = await answer.text();
  if (text !== ANSWER) throw new Error(`${NAMES[name]} answers ${answer.status} ${text}`);
}
