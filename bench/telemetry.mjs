// What telemetry costs: warm throughput with metrics, logs and traces on, against none of them.
import { fileURLToPath } from 'node:url';
import { hearthPeer, startHearth } from './peers/hearth.mjs';
import { folder, start } from './started.mjs';
import { measureRatios } from './throughput.mjs';

const SINK = fileURLToPath(new URL('peers/otlp_sink.mjs', import.meta.url));
/** A few hundredths are looked for, which one round more or less moves: so many times the rounds of the rest. */
const ROUNDS_FACTOR = 3;

/** Fresh nodes with one router each, by turns: with the traces that are recorded when nothing is said, then with all. */
export async function measureTelemetry(options) {
  const rounds = options.rounds * ROUNDS_FACTOR;
  const figures = {};
  for (const [name, sampler] of [
    ['k', ''],
    ['l', 'always_on'],
  ]) {
    const sink = start(process.execPath, [SINK]);
    const [, port] = await sink.says(/listens on (\d+)/);
    const off = await startHearth(await folder(), { HEARTH_ROUTERS: '1', OTEL_SDK_DISABLED: 'true' });
    const on = await startHearth(await folder(), {
      HEARTH_ROUTERS: '1',
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_TRACES_SAMPLER: sampler,
    });
    const peers = { j: await hearthPeer(off), [name]: await hearthPeer(on) };
    figures[name] = (await measureRatios(name, peers, { ...options, rounds })).ratio_j;
    await on.stop();
    await off.stop();
    await sink.stop();
  }
  return { telemetry: figures.k, telemetryAll: figures.l };
}
