/** How a node stops: gracefully at the first signal, at once at the second; nothing is lost, and nothing is left. */
import { connect, type Socket } from 'node:net';
import { Client } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Gate, startGate } from '../support/gate.js';
import { startNode, type TestNode, until } from '../support/node.js';
import { foldersOf, isRunning, processTree, type SystemProcess } from '../support/processes.js';

let node: TestNode;
let gate: Gate;

beforeEach(async () => {
  [node, gate] = await Promise.all([startNode(), startGate()]);
});

afterEach(async () => {
  await node?.remove();
  await gate?.stop();
});

function supervisor(): number {
  return node.process.pid ?? 0;
}

async function expectNothingLeft(tree: SystemProcess[]) {
  await until(() => tree.every((each) => !isRunning(each)));
  expect(foldersOf(supervisor())).toEqual([]);
}

function connectionRefused(): Promise<boolean> {
  const { hostname, port } = new URL(node.url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

/** A raw connection that reads only when it is told to. */
async function slowReader(path: string): Promise<Socket> {
  const { hostname, port } = new URL(node.url);
  const socket = connect(Number(port), hostname);
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.pause();
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${node.anon_key}\r\n\r\n`);
  return socket;
}

describe('SIGTERM', () => {
  it('lets what is in flight finish, takes nothing new, and leaves nothing', async () => {
    await node.deployFile('waits_at_gate.js');
    await node.deployFile('streams_slowly.js');
    await node.deploy('large', "export default () => new Response('x'.repeat(8_000_000));");
    expect((await (await node.call('large')).text()).length).toBe(8_000_000);

    const headers = { 'x-gate': gate.url, 'x-call': 'last' };
    const slow = node.call('waits_at_gate', { headers });
    await until(() => gate.arrived.length === 1);
    const stream = await node.call('streams_slowly?chunks=80&ms=50');
    const follower = await node.api('/api/v1/functions/large/logs?follow=true');
    // Read until the answer is made, and no further: the rest of it is still on its way.
    const reader = await slowReader('/functions/v1/large');
    let read = 0;
    await until(async () => {
      read += reader.read()?.length ?? 0;
      const list = await node.api('/api/v1/functions/large/executions');
      return ((await list.json()) as unknown[]).length === 2;
    });
    expect(read).toBeLessThan(8_000_000);
    const idle = new Client(node.url);
    await (await idle.request({ path: '/healthz', method: 'GET' })).body.dump();

    const tree = processTree(supervisor());
    expect(foldersOf(supervisor()).length).toBeGreaterThanOrEqual(2);
    const stopped = node.stop();
    await until(connectionRefused);
    // A router that has no connection may have ended.
    expect(tree.filter((each) => each.command.includes('deno')).every(isRunning)).toBe(true);
    expect(isRunning(tree[0] as SystemProcess)).toBe(true);

    const whole = new Promise<void>((resolve) => {
      reader.on('data', (chunk: Buffer) => {
        read += chunk.length;
      });
      reader.once('close', () => resolve());
    });
    gate.open();
    expect((await slow).status).toBe(200);
    expect((await stream.text()).split('\n')).toHaveLength(81);
    reader.resume();
    await whole;
    expect(read).toBeGreaterThan(8_000_000);

    expect(await stopped).toBe(0);
    await follower.body?.cancel().catch(() => {}); // it was ended with the node
    await idle.destroy();
    await expectNothingLeft(tree);
  });

  it('lets a deployment in flight finish', async () => {
    // Written slowly, so that the signal comes while it is under way.
    const body = JSON.stringify({ name: 'late', code: "export default () => 'late';" });
    const { hostname, port } = new URL(node.url);
    const socket = connect(Number(port), hostname);
    await new Promise((resolve) => socket.once('connect', resolve));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += String(chunk);
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(
      `POST /api/v1/functions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${node.service_key}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\nexpect: 100-continue\r\n\r\n`,
    );
    await until(() => answer.includes('100 Continue'));
    const stopped = node.stop();
    await until(connectionRefused);
    socket.write(body);
    await closed;
    expect(answer).toContain('HTTP/1.1 201 Created');
    expect(await stopped).toBe(0);
  });

  it('gives up on what takes longer than the drain', async () => {
    await node.stop();
    const next = await startNode({ HEARTH_DRAIN_SECONDS: '1' }, { dataDir: node.dataDir });
    try {
      await next.deployFile('waits_at_gate.js');
      const slow = next.call('waits_at_gate', { headers: { 'x-gate': gate.url, 'x-call': 'never' } });
      await until(() => gate.arrived.length === 1);
      const stopped = next.stop();
      const answer = await slow;
      expect(answer.status).toBe(503);
      expect(await answer.json()).toMatchObject({ code: 'UNAVAILABLE' });
      expect(await stopped).toBe(0);
    } finally {
      await next.remove();
    }
  });

  it('loses no execution', async () => {
    await node.deploy('counted', "export default () => { console.log('one line'); return 'counted'; };");
    const answers = await Promise.all(Array.from({ length: 200 }, () => node.call('counted')));
    const ids = answers.map((answer) => answer.headers.get('x-execution-id'));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(await node.stop()).toBe(0);

    const next = await startNode({}, { dataDir: node.dataDir });
    try {
      const list = await next.api('/api/v1/functions/counted/executions?limit=200');
      const executions = (await list.json()) as { id: string; logs: string | null; status: string }[];
      expect(executions.map(({ id }) => id).sort()).toEqual(ids.sort());
      expect(
        executions.filter(({ logs, status }) => status !== 'success' || logs?.trim() !== 'one line'),
      ).toEqual([]);
    } finally {
      await next.remove();
    }
  });
});

describe('a second signal', () => {
  it('stops at once, whatever is in flight, and leaves nothing running', async () => {
    await node.deployFile('waits_at_gate.js');
    const slow = node.call('waits_at_gate', { headers: { 'x-gate': gate.url, 'x-call': 'cut' } }).then(
      () => 'answered',
      () => 'cut off',
    );
    await until(() => gate.arrived.length === 1);
    const tree = processTree(supervisor());
    const exited = new Promise<number | null>((resolve) => node.process.once('exit', resolve));
    node.process.kill('SIGINT');
    await until(connectionRefused);
    node.process.kill('SIGINT');
    expect(await exited).toBe(1);
    expect(await slow).toBe('cut off');
    await expectNothingLeft(tree);
  });
});
