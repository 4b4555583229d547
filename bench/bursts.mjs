// Bursts: many cold functions called at once beside a warm neighbour, and one function from none to many calls.
import { callOnce, keptAlive } from './client.mjs';
import { pacedLoadApart } from './paced.mjs';
import { deploy, metric, poolIsFull, startHearth } from './peers/hearth.mjs';
import { untilQuiet } from './quiet.mjs';
import { folder } from './started.mjs';
import { figure, quantile, round } from './statistics.mjs';

const NEIGHBOUR_PER_SECOND = 50;

export async function measureBursts() {
  const node = await startHearth(await folder());
  await deploy(node, 'neighbour', 'export default () => new Response("warm");');
  const many = { ...(await coldBurst(node, 100)), ...(await coldBurst(node, 200)) };
  const one = await surge(node, 500);
  await node.stop();
  return { ...many, ...one };
}

/** So many functions that never ran, each called once, all at the same moment. */
async function coldBurst(node, functions) {
  const names = Array.from({ length: functions }, (_, n) => `burst-${functions}-${n}`);
  for (const name of names) await deploy(node, name, `export default () => new Response("${name}");`);
  await poolIsFull(node);
  await untilQuiet();
  const client = keptAlive(node, functions);
  const neighbour = pacedLoadApart({ ...neighbourOf(node), perSecond: NEIGHBOUR_PER_SECOND, seconds: 6 });
  await new Promise((resolve) => setTimeout(resolve, 1_000)); // it has started, and is warm
  const beganAt = Date.now();
  const began = performance.now();
  const results = await Promise.allSettled(names.map((name) => callOnce(client, name)));
  const tookMs = performance.now() - began;
  client.close();
  const { latencies, due } = await neighbour;
  const failed = results.filter(({ status }) => status === 'rejected').length;
  const times = results.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
  figure('cold_burst', tookMs, 'ms', {
    functions,
    failed,
    p50: round(quantile(times, 0.5)),
    p99: round(quantile(times, 0.99)),
  });
  const neighbourP99Ms = quantile(
    latencies.filter((_, n) => due[n] >= beganAt && due[n] <= beganAt + tookMs),
    0.99,
  );
  figure('cold_burst_neighbour_p99', neighbourP99Ms, 'ms', { functions, per_second: NEIGHBOUR_PER_SECOND });
  return functions === 100 ? { burstMs: tookMs, burstFailed: failed, neighbourP99Ms } : {};
}

/** One function that holds each call for 100 ms: from no process to so many calls at once. */
async function surge(node, calls) {
  const code =
    'export default () => new Promise((done) => setTimeout(() => done(new Response("held")), 100));';
  await deploy(node, 'surge', code, { max_instances: 20 });
  await poolIsFull(node);
  await untilQuiet();
  const client = keptAlive(node, calls);
  const before = await metric(node, 'hearth_pool_claim_duration_seconds_count');
  const began = performance.now();
  const results = await Promise.allSettled(Array.from({ length: calls }, () => callOnce(client, 'surge')));
  const tookMs = performance.now() - began;
  client.close();
  const started = (await metric(node, 'hearth_pool_claim_duration_seconds_count')) - before;
  const failed = results.filter(({ status }) => status === 'rejected').length;
  figure('surge', tookMs, 'ms', { calls, failed, processes_started: started, slots_each: 32 });
  return { surgeFailed: failed };
}

function neighbourOf(node) {
  return {
    url: `${node.url}/functions/v1/neighbour`,
    headers: { authorization: `Bearer ${node.credentials.anon_key}` },
  };
}
