import { describe, expect, it } from 'vitest';
import { DEFAULT_MAX_SERIES } from './attributes.js';
import { createClusterMetrics } from './cluster_metrics.js';
import { createInstruments, functionAttributes } from './instruments.js';
import { prometheusPage } from './prometheus_page.js';
import { createRecorder } from './recorder.js';

describe('the metrics page of a node with many functions', () => {
  it('has no more lines with 10,000 functions than the cap of series allows', async () => {
    const page = await pageOf(10_000);
    const series = new Map<string, number>();
    for (const [, name = ''] of page.matchAll(/^([a-z_]+?)(?:_count)?\{(?![^}]*\ble=)/gm))
      if (!name.endsWith('_sum')) series.set(name, (series.get(name) ?? 0) + 1);
    series.delete('target_info');
    // Ten instruments are about functions; each is at its cap, and none is beyond.
    expect([...series.values()]).toEqual(Array(10).fill(DEFAULT_MAX_SERIES));
    // What has no series of its own is in the overflow's.
    const calls = [...page.matchAll(/^faas_invocations_total\{.*\} (\d+)/gm)];
    expect(calls.reduce((sum, [, value]) => sum + Number(value), 0)).toBe(10_000);
  });
});

/** Each function was called once, through one of two routers, and has been in the supervisor's eyes. */
async function pageOf(functions: number): Promise<string> {
  const cluster = createClusterMetrics();
  const sources = ['router-1', 'router-2'].map((name) => {
    const recorder = createRecorder();
    return { name, recorder, instruments: createInstruments(recorder) };
  });
  for (let n = 0; n < functions; n++) {
    const instruments = sources[n % 2]?.instruments;
    const fn = functionAttributes({ tenant: 'default', name: `function-${String(n).padStart(5, '0')}` });
    const call = { ...fn, 'faas.trigger': 'http' } as const;
    instruments?.invocations.with(call).add(1);
    for (const counter of [instruments?.errors, instruments?.timeouts]) counter?.with(call);
    instruments?.invokeDuration.with({ ...call, 'hearth.outcome': 'success' }).record(0.01);
    instruments?.coldStarts.with(fn).add(1);
    instruments?.queueLength.with(fn).set(1);
    for (const histogram of [instruments?.initDuration, instruments?.memoryUsage, instruments?.queueWait])
      histogram?.with(fn).record(1);
    instruments?.cpuUsage.with(fn).record(0.1);
  }
  for (const { name, recorder } of sources) cluster.absorb(name, recorder.drain());
  const { resourceMetrics } = await cluster.collect();
  return prometheusPage(resourceMetrics);
}
