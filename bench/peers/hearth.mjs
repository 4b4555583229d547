// (e, f, g) Hearth as users run it: embedded PostgreSQL, authentication, metrics and executions on.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HELLO } from '../hello.mjs';
import { freePort, start } from '../started.mjs';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
export const POOL_SIZE = 4;

/** Starts a node; resolves when `/readyz` answers 200, with the ms that it took. `flags` are for its supervisor's Node. */
export async function startHearth(dataDir, settings = {}, flags = []) {
  const port = await freePort();
  const began = performance.now();
  const program = start(process.execPath, [...flags, MAIN], {
    env: {
      HEARTH_DATA_DIR: dataDir,
      HEARTH_PORT: String(port),
      HEARTH_METRICS_PORT: '0',
      HEARTH_POOL_SIZE: String(POOL_SIZE),
      HEARTH_FUNCTIONS_DIR: join(dataDir, 'no-functions'),
      ...settings,
    },
  });
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    const status = await fetch(`${url}/readyz`).then(
      (answer) => answer.status,
      () => 0, // nobody listens yet
    );
    if (status === 200) break;
    if (performance.now() - began > 60_000) throw new Error(`Hearth does not start:\n${program.output()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const readyMs = performance.now() - began;
  await program.says(/is ready/);
  const credentials = JSON.parse(await readFile(join(dataDir, 'credentials.json'), 'utf8'));
  return { pid: program.pid, url, readyMs, credentials, stop: program.stop };
}

/** For the default tenant, unless `as` has the service key of another one and what its paths begin with. */
export async function deploy(node, name, code, settings = {}, as = {}) {
  const { key = node.credentials.service_key, base = '' } = as;
  const answer = await fetch(`${node.url}${base}/api/v1/functions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name, code, ...settings }),
  });
  if (answer.status !== 201) throw new Error(`${name} was not deployed: ${await answer.text()}`);
}

/** Deploys the function and says how it is called: with an anon key. */
export async function hearthPeer(node) {
  await deploy(node, 'hello', `export default ${HELLO}\n`);
  return {
    url: `${node.url}/functions/v1/hello`,
    headers: { authorization: `Bearer ${node.credentials.anon_key}` },
  };
}

/** The sum of a metric's series whose labels include `labels`; 0 when there is none. */
export async function metric(node, name, labels = '') {
  const page = await (await fetch(node.credentials.metrics_url)).text();
  let sum = 0;
  for (const line of page.split('\n'))
    if (line.startsWith(name) && /^[ {]/.test(line.slice(name.length)) && line.includes(labels))
      sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  return sum;
}

/** Resolves when as many blank processes wait as the pool holds. */
export async function poolIsFull(node) {
  while ((await metric(node, 'hearth_pool_processes', 'hearth_state="blank"')) < POOL_SIZE)
    await new Promise((resolve) => setTimeout(resolve, 10));
}
