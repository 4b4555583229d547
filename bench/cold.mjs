// The first call of functions that never ran, through the public listener, while a blank process waits.
import { callOnce, keptAlive } from './client.mjs';
import { deploy, poolIsFull } from './peers/hearth.mjs';
import { figure, quantile, round } from './statistics.mjs';

/** Calls of a warm function before, so that the client's own first steps are not in the figure. */
const WARM_UP = 50;

export async function measureCold(node, { cold }) {
  await deploy(node, 'warm', 'export default () => new Response("warm");');
  const names = Array.from({ length: cold }, (_, n) => `cold-${n}`);
  for (const [n, name] of names.entries())
    await deploy(node, name, `export default (request) => Response.json({ n: ${n}, url: request.url });`);

  const client = keptAlive(node);
  for (let n = 0; n < WARM_UP; n++) await callOnce(client, 'warm');
  const times = [];
  for (const name of names) {
    await poolIsFull(node);
    times.push(await callOnce(client, name));
  }
  client.close();
  const figures = { coldP50Ms: quantile(times, 0.5), coldP99Ms: quantile(times, 0.99) };
  figure('first_call_p50', figures.coldP50Ms, 'ms', { functions: cold, each: times.map(round) });
  figure('first_call_p99', figures.coldP99Ms, 'ms', { functions: cold, worst: round(Math.max(...times)) });
  await printStages(node);
  return { ...figures, calls: WARM_UP + cold };
}

/** Where first calls spent their time on the node's side, on average. */
async function printStages(node) {
  const page = await (await fetch(node.credentials.metrics_url)).text();
  const value = (stage, part) => {
    const name = `hearth_start_stage_duration_seconds_${part}`;
    const line = page.split('\n').find((each) => each.startsWith(name) && each.includes(`"${stage}"`));
    return Number(line?.slice(line.lastIndexOf(' ') + 1) ?? Number.NaN);
  };
  const stages = {};
  for (const stage of ['process', 'code', 'environment', 'import'])
    stages[stage] = round((1000 * value(stage, 'sum')) / value(stage, 'count'));
  figure('first_call_stages', stages.import, 'ms', { mean: stages, note: 'value: the import of the module' });
}
