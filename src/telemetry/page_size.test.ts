import { describe, expect, it } from 'vitest';
import { createClusterMetrics } from './cluster_metrics.js';
import { createInstruments, functionAttributes } from './instruments.js';
import { prometheusPage } from './prometheus_page.js';
import { createRecorder } from './recorder.js';

describe('the metrics page of a node with many functions', () => {
  it('has no more lines with 10,000 functions than the cap of series allows', async () => {
    const full = await pageOf(2_500); // beyond the cap of 2,000
    const many = await pageOf(10_000);
    expect(many.lines).toBe(full.lines);
    expect(many.bytes).toBeLessThan(full.bytes * 1.01);
    // What has no line of its own is in the overflow's.
    expect(many.calls).toBe(10_000);
  });
});

/** Each function was called once, through one of two routers, and has been in the supervisor's eyes. */
async function pageOf(functions: number) {
  const cluster = createClusterMetrics();
  const sources = ['router-1', 'router-2'].map((name) => {
    const recorder = createRecorder();
    return { name, recorder, instruments: createInstruments(recorder) };
  });
  for (let n = 0; n < functions; n++) {
    const { instruments } = sources[n % 2] ?? { instruments: undefined };
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
  const page = prometheusPage(resourceMetrics);
  const calls = [...page.matchAll(/^faas_invocations_total\{.*\} (\d+)/gm)];
  return {
    bytes: Buffer.byteLength(page),
    lines: page.split('\n').length,
    calls: calls.reduce((sum, [, value]) => sum + Number(value), 0),
  };
}
