/** Slots, queues and processes of a function over two routers: what runs, what waits, what is refused, what changes. */

import { Client, Pool } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Gate, startGate } from '../support/gate.js';
import { scrape, total } from '../support/metrics.js';
import { startNode, type TestNode, until } from '../support/node.js';
import { denoProcessesOf } from '../support/processes.js';

interface Outcome {
  status: number;
  code: string | null;
  instance: string | null;
  retryAfter: string | null;
}

let node: TestNode;
let gate: Gate;

beforeAll(async () => {
  [node, gate] = await Promise.all([startNode(), startGate()]);
});

afterEach(() => gate.open());

afterAll(async () => {
  await node?.remove();
  await gate?.stop();
});

/** A call on a connection of its own, so that the routers take turns; it waits at the gate. */
async function gated(name: string, call: string, signal?: AbortSignal): Promise<Outcome> {
  const client = new Client(node.url);
  try {
    const answer = await client.request({
      path: `/functions/v1/${name}`,
      method: 'GET',
      headers: { authorization: `Bearer ${node.anon_key}`, 'x-gate': gate.url, 'x-call': call },
      ...(signal === undefined ? {} : { signal }),
    });
    const { code = null, instance = null } = (await answer.body.json()) as Partial<Outcome>;
    const retryAfter = answer.headers['retry-after'];
    return {
      status: answer.statusCode,
      code,
      instance,
      retryAfter: typeof retryAfter === 'string' ? retryAfter : null,
    };
  } finally {
    await client.destroy();
  }
}

/** Names of the calls that have come to the gate. */
function running(prefix: string): string[] {
  return gate.arrived.filter(({ call }) => call.startsWith(`${prefix}-`)).map(({ call }) => call);
}

async function queued(name: string): Promise<number> {
  return total(await scrape(node.metrics_url), 'hearth_queue_length', { faas_name: name });
}

function change(name: string, json: Record<string, unknown>) {
  return node.api(`/api/v1/functions/${name}`, { method: 'PATCH', json });
}

describe('a function with one slot', () => {
  it('runs one call, keeps sixteen waiting, refuses the next at once, and serves in the order of arrival', async () => {
    await node.deployFile(
      'waits_at_gate.js',
      { max_concurrency: 1, max_instances: 1, timeout_seconds: 120 },
      'narrow',
    );
    gate.close();
    const names = Array.from({ length: 17 }, (_, index) => `narrow-${index}`);
    const answers: Promise<Outcome>[] = [];
    for (const [index, name] of names.entries()) {
      answers.push(gated('narrow', name));
      if (index === 0) await until(() => running('narrow').length === 1);
      else await until(async () => (await queued('narrow')) === index);
    }

    const refused = await Promise.all([gated('narrow', 'narrow-x'), gated('narrow', 'narrow-y')]);
    for (const each of refused) expect(each).toMatchObject({ status: 503, code: 'OVERLOADED' });
    for (const each of refused) expect(each.retryAfter).toMatch(/^[1-9]\d*$/);
    expect(running('narrow')).toEqual(['narrow-0']);

    for (const [index, name] of names.entries()) {
      await until(() => running('narrow').length > index);
      // Two rounds of questions to every router: whatever they had to say to each other has arrived.
      for (let round = 0; round < 2; round++) await scrape(node.metrics_url);
      gate.release(name);
    }
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(17).fill(200));
    expect(running('narrow')).toEqual(names);
  });

  it('gives the place of a waiting client that goes away to another', async () => {
    await node.deployFile(
      'waits_at_gate.js',
      { max_concurrency: 1, max_instances: 1, timeout_seconds: 120 },
      'leaving',
    );
    gate.close();
    const first = gated('leaving', 'leaving-0');
    await until(() => running('leaving').length === 1);
    const leaving = new AbortController();
    const waiting = Array.from({ length: 16 }, (_, index) =>
      gated('leaving', `leaving-${index + 1}`, index < 8 ? leaving.signal : undefined).catch(() => null),
    );
    await until(async () => (await queued('leaving')) === 16);
    leaving.abort();
    await until(async () => (await queued('leaving')) === 8);
    const others = Array.from({ length: 8 }, (_, index) => gated('leaving', `leaving-${index + 20}`));
    await until(async () => (await queued('leaving')) === 16);
    gate.open();
    const answers = await Promise.all([first, ...waiting, ...others]);
    expect(answers.filter((answer) => answer === null)).toHaveLength(8);
    expect(answers.filter((answer) => answer?.status === 200)).toHaveLength(17);
    // Those who went away were never run.
    expect(running('leaving')).toHaveLength(17);
  });

  it('refuses a call that has waited for ten seconds', async () => {
    await node.deployFile(
      'waits_at_gate.js',
      { max_concurrency: 1, max_instances: 1, timeout_seconds: 60 },
      'patient',
    );
    gate.close();
    const first = gated('patient', 'patient-0');
    await until(() => running('patient').length === 1);
    const late = await gated('patient', 'patient-1');
    expect(late).toMatchObject({
      status: 503,
      code: 'OVERLOADED',
      retryAfter: expect.stringMatching(/^[1-9]\d*$/),
    });
    gate.open();
    expect((await first).status).toBe(200);
    expect((await gated('patient', 'patient-2')).status).toBe(200);
  });

  it('is shared by the routers: calls through both all succeed', async () => {
    await node.deployFile('waits_at_gate.js', { max_concurrency: 1, max_instances: 1 }, 'shared');
    gate.open();
    for (let round = 0; round < 4; round++) {
      const answers = await Promise.all(
        Array.from({ length: 16 }, (_, index) => gated('shared', `shared-${index}`)),
      );
      expect(answers.map(({ status }) => status)).toEqual(Array(16).fill(200));
      expect(new Set(answers.map(({ instance }) => instance)).size).toBe(1);
    }
  });
});

describe('a function that is called more than its processes can take', () => {
  it('gets as many processes as max_instances says, and no more', async () => {
    await node.deployFile('waits_at_gate.js', { max_concurrency: 2, max_instances: 3 }, 'wide');
    gate.close();
    const answers = Array.from({ length: 10 }, (_, index) => gated('wide', `wide-${index}`));
    await until(async () => running('wide').length === 6 && (await queued('wide')) === 4);
    gate.open();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(10).fill(200));
    const instances = gate.arrived
      .filter(({ call }) => call.startsWith('wide-'))
      .map(({ instance }) => instance);
    expect(new Set(instances).size).toBe(3);
    // Two calls for each process, never more, of the six that ran before the gate opened.
    for (const instance of new Set(instances))
      expect(instances.slice(0, 6).filter((each) => each === instance)).toHaveLength(2);
  });
});

describe('new code', () => {
  it('is live for every call that begins after the change, while none of 2,000 fails', async () => {
    const code = (version: string) =>
      `export default async () => { await new Promise((go) => setTimeout(go, 5)); return '${version}'; };`;
    await node.deploy('moving', code('old'));
    const pool = new Pool(node.url, { connections: 60 });
    try {
      let changed = false;
      let sent = 0;
      const answers: { body: string; status: number; afterChange: boolean }[] = [];
      const client = async () => {
        while (sent < 2_000) {
          sent++;
          const afterChange = changed;
          const answer = await pool.request({
            path: '/functions/v1/moving',
            method: 'GET',
            headers: { authorization: `Bearer ${node.anon_key}` },
          });
          answers.push({ status: answer.statusCode, body: await answer.body.text(), afterChange });
        }
      };
      const clients = Array.from({ length: 60 }, client);
      await until(() => answers.length > 500);
      expect((await change('moving', { code: code('new') })).status).toBe(200);
      changed = true;
      await Promise.all(clients);

      expect(answers).toHaveLength(2_000);
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(['old', 'new']));
      expect(answers.some(({ afterChange }) => afterChange)).toBe(true);
      expect(answers.filter(({ afterChange, body }) => afterChange && body !== 'new')).toEqual([]);
    } finally {
      await pool.destroy();
    }
  });
});

describe('a changed setting', () => {
  it('counts for the next call, on whichever router', async () => {
    await node.deployFile('waits_at_gate.js', {}, 'settings');
    gate.open();
    const both = async () =>
      await Promise.all(Array.from({ length: 6 }, () => gated('settings', 'settings-0')));
    const statuses = async () => new Set((await both()).map(({ status, code }) => code ?? status));
    expect(await statuses()).toEqual(new Set([200]));
    await change('settings', { enabled: false });
    expect(await statuses()).toEqual(new Set(['FUNCTION_DISABLED']));
    await change('settings', { enabled: true });
    expect(await statuses()).toEqual(new Set([200]));
    const anonymous = () => node.call('settings', { key: 'none' });
    expect((await anonymous()).status).toBe(401);
    await change('settings', { allow_unauthenticated: true });
    for (let n = 0; n < 4; n++) expect((await anonymous()).status).toBe(200);
    const before = new Set((await both()).map(({ instance }) => instance));
    await change('settings', { memory_limit_mb: 256 });
    for (const { status, instance } of await both()) {
      expect(status).toBe(200);
      expect(before.has(instance)).toBe(false);
    }
  });

  it('narrows a function whose slots the routers hold already', async () => {
    await node.deployFile('waits_at_gate.js', { max_concurrency: 8, max_instances: 2 }, 'narrowed');
    gate.close();
    const wide = Array.from({ length: 16 }, (_, index) => gated('narrowed', `narrowed-wide-${index}`));
    await until(() => running('narrowed-wide').length === 16);
    gate.open();
    expect((await Promise.all(wide)).map(({ status }) => status)).toEqual(Array(16).fill(200));
    await change('narrowed', { max_concurrency: 1, max_instances: 1 });
    gate.close();
    const narrow = Array.from({ length: 5 }, (_, index) => gated('narrowed', `narrowed-now-${index}`));
    await until(async () => running('narrowed-now').length === 1 && (await queued('narrowed')) === 4);
    gate.open();
    expect((await Promise.all(narrow)).map(({ status }) => status)).toEqual(Array(5).fill(200));
  });
});

describe('a deleted function', () => {
  it('is unknown at once, while its running calls finish and its processes end', async () => {
    await node.deployFile('waits_at_gate.js', {}, 'deleted');
    gate.close();
    const last = Array.from({ length: 4 }, (_, index) => gated('deleted', `deleted-${index}`));
    await until(() => running('deleted').length === 4);
    const supervisor = node.process.pid ?? 0;
    const marker = 'x-gate';
    const before = denoProcessesOf(supervisor, marker).length;
    expect((await node.api('/api/v1/functions/deleted', { method: 'DELETE' })).status).toBe(204);
    for (let n = 0; n < 4; n++)
      expect(await gated('deleted', 'deleted-late')).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(running('deleted-late')).toEqual([]);
    gate.open();
    expect((await Promise.all(last)).map(({ status }) => status)).toEqual(Array(4).fill(200));
    await until(() => denoProcessesOf(supervisor, marker).length < before);
    // The name is free again, for other code.
    await node.deploy('deleted', "export default () => 'another';");
    expect(await (await node.call('deleted')).text()).toBe('another');
  });
});
