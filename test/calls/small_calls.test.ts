/** Calls small enough to go to the process in a frame: they look to function and caller as every other call does. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ExecutionRecord } from '../../src/router/api/schemas.js';
import { errorOf, executionOf } from '../support/answers.js';
import { exactRequest } from '../support/exact_request.js';
import { startNode, type TestNode, until } from '../support/node.js';

let node: TestNode;

beforeAll(async () => {
  node = await startNode();
  await node.deployFile('request_faces.ts', { allow_unauthenticated: true });
  await node.deployFile('deno_serve.ts', { allow_unauthenticated: true });
});
afterAll(async () => {
  await node?.remove();
});

const path = (face: string) => `/functions/v1/request_faces/${face}`;
const post = async (face: string, body: string | FormData, headers: Record<string, string> = {}) =>
  await fetch(node.url + path(face), { method: 'POST', body, headers });

describe('the request that a function is given', () => {
  it('is a Request', async () => {
    const answer = await fetch(node.url + path('kind'));
    expect(await answer.json()).toEqual([true, '[object Request]', true]);
  });

  it('can be cloned, and its body read once', async () => {
    const answer = await post('twice', 'a body');
    expect(await answer.json()).toEqual([false, 'a body', true, 'a body']);
  });

  it('cannot be read twice', async () => {
    const answer = await post('more-than-once', '{"a":1}');
    expect(await answer.json()).toEqual([true, 'TypeError', 'there']);
  });

  it('has its body as bytes', async () => {
    expect(await (await post('bytes-of', 'ü')).json()).toEqual([2, 2]);
  });

  it('can be made into another one, body and all', async () => {
    const answer = await post('again', '{"a":1}', { 'x-given': 'b' });
    expect(await answer.json()).toEqual(['POST', 'b', { a: 1 }]);
  });

  it('has its form', async () => {
    const form = new FormData();
    form.set('name', 'Ärger');
    expect(await (await post('form', form)).json()).toEqual([['name', 'Ärger']]);
  });

  it('has its body as a stream', async () => {
    expect(await (await post('stream', 'wörter €')).text()).toBe('wörter €');
  });
});

describe('what passes', () => {
  it('is bytes beyond ASCII in headers, as they are, both ways', async () => {
    const answer = await exactRequest(node.url, {
      path: path('latin'),
      headers: { 'x-given': 'caf\u00e9 \u0080' },
    });
    expect(answer.header('x-back')).toBe('caf\u00e9 \u0080');
    expect(answer.body.toString()).toBe('caf\u00e9 \u0080');
  });

  it('is text and bytes of any size', async () => {
    expect(await (await fetch(node.url + path('large'))).text()).toBe('ä€🔥'.repeat(40_000));
    const bytes = new Uint8Array(await (await fetch(node.url + path('large-bytes'))).arrayBuffer());
    expect([bytes.length, bytes.every((byte) => byte === 7)]).toEqual([300_000, true]);
  });

  it('is what a function has looked at before it answered with it', async () => {
    expect(await (await fetch(node.url + path('peeked'))).text()).toBe('looked at');
  });

  it('is framed by the platform, whatever the function says of its length', async () => {
    const answer = await exactRequest(node.url, { path: path('lies') });
    expect([answer.body.toString(), answer.header('transfer-encoding')]).toEqual(['12345', undefined]);
  });

  it.each([
    ['a header that HTTP does not allow', 'control-character'],
    ['a body that was read before', 'used'],
  ])('is not %s: that is the function’s error', async (_, face) => {
    const answer = await fetch(node.url + path(face));
    expect(await errorOf(answer)).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
    expect(await executionOf(node, answer)).toMatchObject({ status: 'error', status_code: 500 });
    expect((await fetch(node.url + path('kind'))).status).toBe(200);
  });
});

/** Sends two of the four bytes that it announces. */
function halfACall(name: string): { rest(): void; answer(): string; end(): void } {
  const socket = connect(Number(new URL(node.url).port), '127.0.0.1');
  socket.on('error', () => {});
  let answer = '';
  socket.on('data', (chunk) => {
    answer += String(chunk);
  });
  const head = `host: a\r\nauthorization: Bearer ${node.anon_key}\r\ncontent-length: 4`;
  socket.write(`POST /functions/v1/${name}/stream HTTP/1.1\r\n${head}\r\n\r\nab`);
  return { rest: () => socket.write('cd'), answer: () => answer, end: () => socket.destroy() };
}

describe('a small body that does not come', () => {
  it('holds no slot', async () => {
    await node.deployFile('request_faces.ts', { max_concurrency: 1, max_instances: 1 }, 'one_at_a_time');
    const slow = halfACall('one_at_a_time');
    for (let call = 0; call < 3; call++) {
      const other = await node.call('one_at_a_time/kind');
      expect([other.status, await other.json()]).toEqual([200, [true, '[object Request]', true]]);
    }
    slow.rest();
    await until(() => slow.answer().endsWith('abcd'), 10_000, slow.answer);
    slow.end();
  });

  it('is refused when the function’s time is up', async () => {
    await node.deployFile('request_faces.ts', { timeout_seconds: 1 }, 'impatient');
    const slow = halfACall('impatient');
    await until(() => slow.answer().includes('INVALID_REQUEST'), 10_000, slow.answer);
    expect(slow.answer()).toMatch(/^HTTP\/1\.1 400 /);
    slow.end();
  });
});

describe('CPU time', () => {
  it('of calls that come and go together is told, all of it', async () => {
    const burns = `
      import { cpuUsage } from 'node:process';
      const used = () => { const { user, system } = cpuUsage(); return user + system; };
      export default () => { const until = used() + 40; while (used() < until); return 'burnt'; };`;
    await node.deploy('burns', burns, { max_instances: 1, max_concurrency: 100 });
    const answers: Response[] = [];
    for (let group = 0; group < 19; group++)
      answers.push(...(await Promise.all(Array.from({ length: 10 }, () => node.call('burns')))));
    for (const answer of answers) expect(await answer.text()).toBe('burnt');
    await executionOf(node, answers.at(-1) as Response);
    const listed = await node.api('/api/v1/functions/burns/executions?limit=200');
    const executions = ExecutionRecord.array().parse(await listed.json());
    const toldMs = executions.reduce((sum, { cpu_ms }) => sum + (cpu_ms ?? 0), 0);
    expect(executions).toHaveLength(190);
    // What the last group used may have been read after it, for a call that never came.
    expect(toldMs).toBeGreaterThanOrEqual(180 * 0.04);
  });
});
