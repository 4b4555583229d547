// The price of the sandbox: warm throughput, and how long a process takes to be ready, with it and without it, by turns.
import { deploy, hearthPeer, metric, poolIsFull, startHearth } from './peers/hearth.mjs';
import { folder } from './started.mjs';
import { figure, round } from './statistics.mjs';
import { measureRatios } from './throughput.mjs';

const SPAWNS = 12;

/** A few hundredths are looked for, which one round more or less moves: so many times the rounds of the rest. */
const ROUNDS_FACTOR = 3;

/** On two fresh nodes, so that neither has more executions in its database than the other. */
export async function measurePrice(options) {
  const walled = await startHearth(await folder(), { HEARTH_ROUTERS: '1' });
  const open = await startHearth(await folder(), { HEARTH_ROUTERS: '1', HEARTH_SANDBOX: 'permissions' });
  const peers = { e: await hearthPeer(walled), g: await hearthPeer(open) };
  const price = await measureRatios('e', peers, { ...options, rounds: options.rounds * ROUNDS_FACTOR });
  await measureSpawn(walled, open);
  return price;
}

/** `walled`: a node with the strongest sandbox that works here; `open`: one with Deno's permissions alone. */
async function measureSpawn(walled, open) {
  const nodes = { walled, open };
  const took = { walled: 0, open: 0 };
  for (let spawn = 0; spawn < SPAWNS; spawn++) {
    for (const [name, node] of Object.entries(nodes)) {
      await poolIsFull(node);
      const before = await spawns(node);
      await deploy(node, `spawn-${spawn}`, `export default () => "${spawn}";`);
      const headers = { authorization: `Bearer ${node.credentials.anon_key}` };
      await (await fetch(`${node.url}/functions/v1/spawn-${spawn}`, { headers })).text();
      // A process was taken for it: another is made in its place.
      let after = before;
      while (after.count === before.count) after = await spawns(node);
      took[name] += (after.seconds - before.seconds) / (after.count - before.count);
    }
  }
  const ms = (name) => (took[name] / SPAWNS) * 1000;
  figure('spawn_sandbox', ms('walled'), 'ms', { spawns: SPAWNS });
  figure('spawn_permissions', ms('open'), 'ms', { spawns: SPAWNS, ratio: round(ms('walled') / ms('open')) });
}

async function spawns(node) {
  return {
    count: await metric(node, 'hearth_pool_spawn_duration_seconds_count'),
    seconds: await metric(node, 'hearth_pool_spawn_duration_seconds_sum'),
  };
}
