/** First calls: a process is started, or waits, for each function, and calls go into it while it loads. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { errorOf, executionOf } from '../support/answers.js';
import { startNode, type TestNode, until } from '../support/node.js';

let node: TestNode;

beforeAll(async () => {
  node = await startNode({ HEARTH_POOL_SIZE: '4' });
});
afterAll(() => node?.remove());

/** A module that loads once its gate lets it, and echoes. */
const gated = (gate: string) => `
  await fetch(${JSON.stringify(gate)});
  export default async (request) => new Response(await request.text(), { headers: { 'x-url': request.url } });
`;

/** `test/functions/waits_at_gate.js` asks one over the network; here a function of the same node is it. */
async function openGate(name: string): Promise<{ url: string; open(): Promise<void> }> {
  await node.deploy(
    name,
    `let open; const opened = new Promise((resolve) => { open = resolve; });
     export default async (request) => {
       if (request.method === 'POST') open(); else await opened;
       return new Response('open');
     };`,
    { allow_unauthenticated: true, max_instances: 1, max_concurrency: 100 },
  );
  const url = `${node.url}/functions/v1/${name}`;
  return {
    url,
    async open() {
      await fetch(url, { method: 'POST' });
    },
  };
}

describe('first calls of many functions at once', () => {
  it('are all answered, a process starting or waiting for each', async () => {
    for (let round = 0; round < 4; round++) {
      const names = Array.from({ length: 8 }, (_, index) => `first_${round}_${index}`);
      await Promise.all(names.map((name) => node.deployFile('returns_text.js', {}, name)));
      const answers = await Promise.all(names.map((name) => node.call(name)));
      for (const answer of answers) {
        expect([answer.status, await answer.text()]).toEqual([200, 'just text']);
        expect(await executionOf(node, answer)).toMatchObject({ cold_start: true, status: 'success' });
      }
    }
  });
});

describe('calls of a function whose process loads yet', () => {
  it('are answered when it has loaded, whatever their size, and the next one is warm', async () => {
    const gate = await openGate('gate_for_loading');
    await node.deploy('loads_slowly', gated(gate.url));
    const bodies = ['', 'small', 'x'.repeat(100_000), 'y'.repeat(1_000_000)];
    const calls = bodies.map((body) => node.call('loads_slowly', { method: 'POST', body }));
    const given = new AbortController();
    const left = node.call('loads_slowly', { method: 'POST', body: 'left', signal: given.signal });
    left.catch(() => {});
    const socket = new WebSocket(`${node.url.replace('http', 'ws')}/functions/v1/loads_slowly`, {
      headers: { authorization: `Bearer ${node.anon_key}` },
    });
    const refused = new Promise<number | undefined>((resolve) => {
      socket.on('unexpected-response', (_, answer) => resolve(answer.statusCode));
      socket.on('error', () => {});
    });
    await until(async () => (await processes('starting')) > 0);
    given.abort();
    await gate.open();
    const answers = await Promise.all(calls);
    for (const [index, answer] of answers.entries()) {
      expect(answer.status).toBe(200);
      expect(await answer.text()).toBe(bodies[index]);
      expect(await executionOf(node, answer)).toMatchObject({ cold_start: true, status: 'success' });
    }
    expect(await refused).toBe(200);
    const warm = await node.call('loads_slowly', { method: 'POST', body: 'warm' });
    expect(await executionOf(node, warm)).toMatchObject({ cold_start: false });
    await expect(left).rejects.toThrow(/abort/i);
  });

  it('do not lose their own time to the loading', async () => {
    const gate = await openGate('gate_for_time');
    await node.deploy(
      'loads_then_works',
      `await fetch(${JSON.stringify(gate.url)});
       export default async () => { await new Promise((r) => setTimeout(r, 700)); return new Response('done'); };`,
      { timeout_seconds: 1 },
    );
    const call = node.call('loads_then_works');
    await sleep(600); // most of its one second
    await gate.open();
    const answer = await call;
    expect([answer.status, await answer.text()]).toEqual([200, 'done']);
  });

  it.each([
    ['throws_while_loading.ts', 500, 'FUNCTION_ERROR', /DATABASE is not configured/],
    ['exits_while_loading.js', 502, 'FUNCTION_CRASHED', /ended/],
  ])('%s: each gets the error, as an execution of its own', async (file, status, code, why) => {
    const name = file.replace(/\.\w+$/, '');
    await node.deployFile(file, { max_instances: 1 });
    const calls = Array.from({ length: 6 }, (_, index) =>
      node.call(name, index % 2 === 0 ? {} : { method: 'POST', body: 'z'.repeat(100_000) }),
    );
    for (const answer of await Promise.all(calls)) {
      expect(await errorOf(answer)).toMatchObject({ status, code });
      expect((await executionOf(node, answer)).error_message).toMatch(why);
    }
  });
});

describe('server-timing', () => {
  const stagesOf = (answer: Response) =>
    (answer.headers.get('server-timing') ?? '').split(', ').map((entry) => entry.split(';dur=')[0]);

  it('says where the time of a first call went, and of a warm one, to a service credential', async () => {
    await node.deployFile('returns_text.js', {}, 'timed');
    const first = await node.call('timed', { key: 'service' });
    expect(stagesOf(first)).toEqual([
      'queue',
      'process',
      'code',
      'environment',
      'import',
      'function',
      'total',
    ]);
    const warm = await node.call('timed', { key: 'service' });
    expect(stagesOf(warm).at(-1)).toBe('total');
    expect(stagesOf(warm)).not.toContain('import');
  });

  it('says nothing to anyone else', async () => {
    const answer = await node.call('timed', { key: 'anon' });
    expect(answer.headers.get('server-timing')).toBeNull();
  });
});

/** Processes of the node in a state, as its metrics say. */
async function processes(state: string): Promise<number> {
  const page = await (await fetch(node.metrics_url ?? '')).text();
  let sum = 0;
  for (const line of page.split('\n'))
    if (line.startsWith('hearth_pool_processes{') && line.includes(`hearth_state="${state}"`))
      sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  return sum;
}
