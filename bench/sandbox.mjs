// The price of the sandbox: how long a process takes to be ready with it and without it, by turns.
import { deploy, metric, poolIsFull } from './peers/hearth.mjs';
import { figure, round } from './statistics.mjs';

const SPAWNS = 12;

/** `walled`: a node with the strongest sandbox that works here; `open`: one with Deno's permissions alone. */
export async function measureSpawn(walled, open) {
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
