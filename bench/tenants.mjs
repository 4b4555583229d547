// What tenants cost each other: the price of authentication, and a tenant's calls while another one floods the node.
import { HELLO } from './hello.mjs';
import { pacedLoad, pacedLoadApart } from './paced.mjs';
import { deploy, hearthPeer, startHearth } from './peers/hearth.mjs';
import { untilQuiet } from './quiet.mjs';
import { folder } from './started.mjs';
import { figure, median, quantile, round } from './statistics.mjs';
import { measureRatios } from './throughput.mjs';

/** Calls that the flooding tenant may make in a minute, and how many it makes in a second: 20 times as many. */
const QUOTA = 3_000;
const FLOOD_PER_SECOND = 1_000;
const STEADY_PER_SECOND = 100;
/** A few hundredths are looked for, which one round more or less moves: so many times the rounds of the rest. */
const ROUNDS_FACTOR = 3;

export async function measureTenants(options) {
  return { ...(await measureAuthentication(options)), ...(await measureFlood(options)) };
}

/** One function twice, on one node: for those with an anon key, and for everyone. */
async function measureAuthentication(options) {
  const node = await startHearth(await folder(), { HEARTH_ROUTERS: '1' });
  const h = await hearthPeer(node);
  await deploy(node, 'open', `export default ${HELLO}\n`, { allow_unauthenticated: true });
  const i = { url: `${node.url}/functions/v1/open` };
  const figures = await measureRatios('h', { h, i }, { ...options, rounds: options.rounds * ROUNDS_FACTOR });
  await node.stop();
  return { authenticated: figures.ratio_i };
}

/** Rounds without and with the flood, by turns. */
async function measureFlood({ rounds, seconds }) {
  const node = await startHearth(await folder());
  const flooding = await tenantPeer(node, 'flooding', { calls_per_minute: QUOTA });
  const steady = await tenantPeer(node, 'steady', {});
  const length = 2 * seconds;
  await pacedLoad({ ...steady, perSecond: STEADY_PER_SECOND, seconds: 2 });
  await pacedLoad({ ...flooding, perSecond: STEADY_PER_SECOND, seconds: 2 });
  const quiet = [];
  const flooded = [];
  const floods = [];
  for (let n = 0; n < rounds; n++) {
    await untilQuiet();
    quiet.push(await pacedLoad({ ...steady, perSecond: STEADY_PER_SECOND, seconds: length }));
    await untilQuiet();
    const flood = pacedLoadApart({ ...flooding, perSecond: FLOOD_PER_SECOND, seconds: length + 1 });
    flooded.push(await pacedLoad({ ...steady, perSecond: STEADY_PER_SECOND, seconds: length }));
    floods.push(await flood);
  }
  await node.stop();

  const p99 = (results) => results.map(({ latencies }) => quantile(latencies, 0.99));
  const count = (results, status) => results.reduce((sum, { statuses }) => sum + (statuses[status] ?? 0), 0);
  const total = (results) =>
    results.reduce((sum, { latencies, unanswered }) => sum + latencies.length + unanswered, 0);
  const ratios = p99(flooded).map((ms, n) => ms / p99(quiet)[n]);
  const success = (100 * count(flooded, 200)) / total(flooded);
  figure('steady_p99_quiet', median(p99(quiet)), 'ms', {
    per_second: STEADY_PER_SECOND,
    rounds: p99(quiet).map(round),
  });
  figure('steady_p99_flooded', median(p99(flooded)), 'ms', {
    flood_per_second: FLOOD_PER_SECOND,
    quota_per_minute: QUOTA,
    flood_admitted: count(floods, 200),
    flood_refused: count(floods, 429),
    flood_unanswered: floods.reduce((sum, { unanswered }) => sum + unanswered, 0),
    rounds: p99(flooded).map(round),
  });
  figure('steady_p99_ratio', median(ratios), 'ratio', { rounds: ratios.map(round) });
  figure('steady_success', success, '%', { calls: total(flooded) });
  return { floodP99: median(ratios), floodSuccess: success };
}

/** A tenant with the function, and how that is called. */
async function tenantPeer(node, slug, quotas) {
  const answer = await fetch(`${node.url}/api/v1/admin/tenants`, {
    method: 'POST',
    headers: { authorization: `Bearer ${node.credentials.admin_key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ slug, quotas }),
  });
  if (answer.status !== 201) throw new Error(`${slug} was not created: ${await answer.text()}`);
  const { anon_key, service_key } = await answer.json();
  await deploy(node, 'hello', `export default ${HELLO}\n`, {}, { key: service_key, base: `/t/${slug}` });
  return {
    url: `${node.url}/t/${slug}/functions/v1/hello`,
    headers: { authorization: `Bearer ${anon_key}` },
  };
}
