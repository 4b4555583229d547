// The first call in a process that was started ahead of it, as it is for functions whose calls can be foreseen.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { callOnce, keptAlive } from './client.mjs';
import { deploy, metric, startHearth } from './peers/hearth.mjs';
import { untilQuiet } from './quiet.mjs';
import { folder } from './started.mjs';
import { figure, quantile, round } from './statistics.mjs';

const CLOCK = fileURLToPath(new URL('peers/moved_clock.mjs', import.meta.url));
/** Minutes between a function's calls. */
const EVERY = 30;
/** Minutes after a call in which its process has gone, and is there again (docs/keepalive.md). */
const GONE = 1.5;
const THERE = EVERY - 0.75;
/** ms in which the supervisor hears of use, and looks at what is idle. */
const TICK_MS = 1_000;
const WARM_ROUNDS = 5;
const PATIENCE_MS = 30_000;

export async function measurePrewarmed({ cold }) {
  const dataDir = await folder();
  const clock = join(dataDir, 'clock');
  const node = await startHearth(dataDir, { BENCH_CLOCK: clock }, ['--import', CLOCK]);
  let minutes = 0;
  const pass = (more) => {
    minutes += more;
    writeFileSync(clock, String(minutes * 60_000));
    process.kill(node.pid, 'SIGUSR2');
  };
  const names = Array.from({ length: cold }, (_, n) => `habit-${n}`);
  for (const [n, name] of names.entries())
    await deploy(node, name, `export default (request) => Response.json({ n: ${n}, url: request.url });`);
  const client = keptAlive(node);
  const callEach = async () => {
    const times = [];
    for (const name of names) times.push(await callOnce(client, name));
    return times;
  };
  // Two idle times make a habit.
  for (let n = 0; n < 3; n++) {
    if (n > 0) pass(EVERY);
    await untilLive(node, 0);
    await callEach();
    await sleep(2 * TICK_MS);
  }
  pass(GONE);
  await untilLive(node, 0);
  pass(THERE - GONE);
  await untilLive(node, cold);
  await untilQuiet();
  const coldStarts = await metric(node, 'faas_coldstarts_total');
  if (coldStarts < cold) throw new Error('the cold starts of the first calls were not counted');
  const first = await callEach();
  const warm = [];
  for (let n = 0; n < WARM_ROUNDS; n++) warm.push(...(await callEach()));
  const more = (await metric(node, 'faas_coldstarts_total')) - coldStarts;
  if (more > 0) throw new Error(`${more} of ${cold} processes were not there`);
  client.close();
  await node.stop();
  const prewarmedAddedMs = quantile(first, 0.5) - quantile(warm, 0.5);
  figure('prewarmed_first_call_p50', quantile(first, 0.5), 'ms', {
    functions: cold,
    p99: round(quantile(first, 0.99)),
    each: first.map(round),
  });
  figure('prewarmed_warm_call_p50', quantile(warm, 0.5), 'ms', { calls: warm.length });
  figure('prewarmed_over_warm', prewarmedAddedMs, 'ms');
  return { prewarmedAddedMs };
}

/** Resolves when so many processes have a function. */
async function untilLive(node, processes) {
  for (const end = Date.now() + PATIENCE_MS; ; await sleep(TICK_MS / 10)) {
    const live = await metric(node, 'hearth_pool_processes', 'hearth_state="live"');
    if (live === processes) return;
    if (Date.now() > end) throw new Error(`${live} processes have a function, and not ${processes}`);
  }
}
