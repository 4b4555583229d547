// The first call of functions that never ran, through the public listener, while a blank process waits.
import { Agent, request } from 'node:http';
import { deploy, poolIsFull } from './peers/hearth.mjs';
import { figure, quantile } from './statistics.mjs';

/** Calls of a warm function before, so that the client's own first steps are not in the figure. */
const WARM_UP = 50;

export async function measureCold(node, { cold }) {
  await deploy(node, 'warm', 'export default () => new Response("warm");');
  const names = Array.from({ length: cold }, (_, n) => `cold-${n}`);
  for (const [n, name] of names.entries())
    await deploy(node, name, `export default (request) => Response.json({ n: ${n}, url: request.url });`);

  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let n = 0; n < WARM_UP; n++) await call(node, 'warm', agent);
  const times = [];
  for (const name of names) {
    await poolIsFull(node);
    times.push(await call(node, name, agent));
  }
  agent.destroy();
  const figures = { coldP50Ms: quantile(times, 0.5), coldP99Ms: quantile(times, 0.99) };
  figure('first_call_p50', figures.coldP50Ms, 'ms', { functions: cold });
  figure('first_call_p99', figures.coldP99Ms, 'ms', { functions: cold, worst: Math.max(...times) });
  return { ...figures, calls: WARM_UP + cold };
}

/** ms from sending the request to the last byte of its answer. */
function call(node, name, agent) {
  const { promise, resolve, reject } = withResolvers();
  const headers = { authorization: `Bearer ${node.credentials.anon_key}` };
  const began = performance.now();
  request(`${node.url}/functions/v1/${name}`, { agent, headers }, (answer) => {
    answer.resume();
    answer.once('end', () => {
      if (answer.statusCode === 200) resolve(performance.now() - began);
      else reject(new Error(`${name} answered ${answer.statusCode}`));
    });
  })
    .once('error', reject)
    .end();
  return promise;
}

function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
