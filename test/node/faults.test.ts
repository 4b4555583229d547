/** What a node makes of the sudden death of its parts: a Deno process, a router, the supervisor. */
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gate, startGate } from '../support/gate.js';
import { counters, scrape, total } from '../support/metrics.js';
import { startNode, type TestNode, until } from '../support/node.js';
import {
  denoProcessesOf,
  foldersOf,
  isRunning,
  mentioning,
  processTree,
  routersOf,
} from '../support/processes.js';

/** In the code of waits_at_gate.js, and in no other function's. */
const GATED = 'x-gate';

let node: TestNode;
let gate: Gate;

beforeAll(async () => {
  [node, gate] = await Promise.all([startNode(), startGate()]);
});

afterAll(async () => {
  await node?.remove();
  await gate?.stop();
});

function supervisor(of = node): number {
  return of.process.pid ?? 0;
}

/** A call that waits at the gate. */
function gated(name: string, call: string) {
  return node.call(name, { headers: { 'x-gate': gate.url, 'x-call': call } });
}

async function outcome(answering: Promise<Response>) {
  const answer = await answering;
  const { code = null, instance = null } = (await answer.json()) as { code?: string; instance?: string };
  return { status: answer.status, code, instance };
}

describe('a Deno process that is killed under load', () => {
  it('fails the calls that run on it, and no other one before or after', async () => {
    await node.deployFile('waits_at_gate.js', { max_concurrency: 10, max_instances: 4 }, 'crowd');
    gate.close();
    const calls = Array.from({ length: 40 }, (_, index) => `crowd-${index}`);
    const answers = calls.map((call) => outcome(gated('crowd', call)));
    const here = () => gate.arrived.filter(({ call }) => call.startsWith('crowd-'));
    await until(() => here().length === 40);
    expect(new Set(here().map(({ instance }) => instance)).size).toBe(4);

    const victims = denoProcessesOf(supervisor(), GATED);
    expect(victims).toHaveLength(4);
    process.kill(victims[0]?.pid ?? 0, 'SIGKILL');
    const ended = new Set<number>();
    answers.forEach((answer, index) => void answer.then(() => ended.add(index)));
    await until(() => ended.size === 10);
    gate.open();
    const outcomes = await Promise.all(answers);

    const failed = calls.filter((_, index) => outcomes[index]?.status !== 200);
    const hit = new Set(here().flatMap(({ call, instance }) => (failed.includes(call) ? [instance] : [])));
    expect(hit.size).toBe(1);
    expect(failed).toEqual(
      here()
        .flatMap(({ call, instance }) => (hit.has(instance) ? [call] : []))
        .sort(byNumber),
    );
    expect(outcomes.filter(({ status }) => status !== 200)).toEqual(
      Array(10).fill({ status: 502, code: 'FUNCTION_CRASHED', instance: null }),
    );

    const later = await Promise.all(Array.from({ length: 40 }, () => outcome(node.call('crowd'))));
    expect(later.filter(({ status }) => status !== 200)).toEqual([]);
    expect(later.some(({ instance }) => hit.has(instance ?? ''))).toBe(false);
  });

  it('is replaced when it was the only one', async () => {
    await node.deployFile('waits_at_gate.js', { max_concurrency: 1, max_instances: 1 }, 'lonely');
    gate.open();
    const others = new Set(denoProcessesOf(supervisor(), GATED).map(({ pid }) => pid));
    const first = await outcome(node.call('lonely'));
    const own = denoProcessesOf(supervisor(), GATED).find(({ pid }) => !others.has(pid));
    process.kill(own?.pid ?? 0, 'SIGKILL');
    const second = await outcome(node.call('lonely'));
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.instance).not.toBe(first.instance);
  });
});

describe('a router that is killed', () => {
  it('is forked again, gives its leases back, and no count falls', async () => {
    await node.deployFile('waits_at_gate.js', { max_concurrency: 1, max_instances: 1 }, 'held');
    gate.close();
    // The one slot there is stays with the router that is killed while its call runs.
    const held = gated('held', 'held-1').then(
      ({ status }) => status,
      () => 'cut off',
    );
    await until(() => gate.arrived.some(({ call }) => call === 'held-1'));
    const before = await scrape(node.metrics_url);
    expect(total(before, 'faas_invocations_total', { faas_name: 'crowd' })).toBeGreaterThanOrEqual(70);

    const routers = routersOf(supervisor());
    expect(routers).toHaveLength(2);
    for (const router of routers) {
      const known = new Set(routersOf(supervisor()).map(({ pid }) => pid));
      process.kill(router.pid, 'SIGKILL');
      await until(() => routersOf(supervisor()).filter(({ pid }) => !known.has(pid)).length === 1);
      await until(async () =>
        (await scrape(node.metrics_url)).samples.some(({ name }) => name.startsWith('faas')),
      );
    }
    expect(await held).toBe('cut off');
    gate.open();

    // Both new routers serve, and the slot that died with a router can be had again.
    await until(async () => (await fetch(`${node.url}/readyz`).catch(() => null))?.status === 200);
    const answers = await Promise.all(Array.from({ length: 16 }, () => outcome(node.call('held'))));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);

    const after = await scrape(node.metrics_url);
    const now = counters(after);
    const fallen = [...counters(before)].filter(([series, value]) => (now.get(series) ?? -1) < value);
    expect(fallen).toEqual([]);
    expect(total(after, 'hearth_router_restarts_total')).toBe(2);
    await until(async () => {
      const page = await scrape(node.metrics_url);
      return total(page, 'faas_invocations_total', { faas_name: 'held' }) >= 16;
    });
  });
});

describe('a supervisor that is killed', () => {
  it('takes every process of the node along, and the next start serves what was deployed', async () => {
    await node.deployFile('waits_at_gate.js', {}, 'kept');
    gate.open();
    expect((await outcome(node.call('kept'))).status).toBe(200);
    const tree = processTree(supervisor());
    // The supervisor, two routers, PostgreSQL with its own, sandboxes and the Deno processes in them.
    expect(tree.length).toBeGreaterThan(8);
    expect(denoProcessesOf(supervisor(), GATED).length).toBeGreaterThan(0);

    const killed = supervisor();
    const runDir = `hearth-run-${killed}-`;
    expect(foldersOf(killed, 'run').length).toBeGreaterThan(0);
    // A sandbox that is half built when its builder dies waits for it for ever.
    const halfBuilt = spawn('sleep', ['60'], { argv0: join(tmpdir(), `${runDir}half`, 'built') });
    process.kill(killed, 'SIGKILL');
    await until(() => tree.every((each) => !isRunning(each)));
    await until(() => mentioning(node.dataDir, runDir).length === 0);
    expect(halfBuilt.signalCode).toBe('SIGKILL');

    const next = await startNode({}, { dataDir: node.dataDir });
    try {
      expect(next.anon_key).toBe(node.anon_key);
      expect((await outcome(next.call('kept'))).status).toBe(200);
      expect(foldersOf(killed, 'run')).toEqual([]);
      expect(await next.stop()).toBe(0);
    } finally {
      await next.remove();
    }
  });
});

function byNumber(a: string, b: string): number {
  return Number(a.split('-')[1]) - Number(b.split('-')[1]);
}
