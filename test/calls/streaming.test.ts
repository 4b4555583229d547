/** Bodies of any size and connections of any length: streamed both ways, no faster than they are read, and let go when left. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { errorOf, executionOf, followLog, linesOf } from '../support/answers.js';
import { growthDuring } from '../support/memory.js';
import { startNode, type TestNode, until } from '../support/node.js';

const MIB = 1024 * 1024;
const SIZE = 60 * MIB;

let node: TestNode;
const pid = () => node.process.pid ?? 0;

beforeAll(async () => {
  node = await startNode();
});
afterAll(() => node?.remove());

describe('60 MB', () => {
  it('go up with flat memory', async () => {
    await node.deployFile('counts_bytes.ts', { max_instances: 1 });
    const send = (bytes: number) => {
      let left = bytes;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (left <= 0) return controller.close();
          controller.enqueue(new Uint8Array(Math.min(left, MIB)).fill(97));
          left -= MIB;
        },
      });
      return node.call('counts_bytes', { method: 'POST', body, duplex: 'half' });
    };
    expect(await (await send(4 * MIB)).json()).toEqual({ bytes: 4 * MIB });
    const growth = await growthDuring(pid(), async () => {
      expect(await (await send(SIZE)).json()).toEqual({ bytes: SIZE });
    });
    expect(growth).toBeLessThan(48 * MIB);
  });

  it('come down with flat memory', async () => {
    await node.deployFile('pours_bytes.ts', { max_instances: 1 }, 'pours_60_mb');
    const read = async (bytes: number) => {
      let seen = 0;
      for await (const chunk of (await node.call(`pours_60_mb?bytes=${bytes}`)).body ?? []) {
        if (seen === 0) expect(chunk[0]).toBe(120);
        seen += chunk.length;
      }
      return seen;
    };
    expect(await read(4 * MIB)).toBe(4 * MIB);
    const growth = await growthDuring(pid(), async () => {
      expect(await read(SIZE)).toBe(SIZE);
    });
    expect(growth).toBeLessThan(48 * MIB);
  });
});

describe('a reader', () => {
  it('that is slow slows the function down; one that leaves ends its stream', async () => {
    await node.deployFile('pours_bytes.ts', { max_instances: 1 });
    const state = async (): Promise<{ made: number; cancelled: number }> =>
      JSON.parse(await (await node.call('pours_bytes?made')).text());
    const answer = await node.call('pours_bytes');
    const reader = answer.body?.getReader();
    await reader?.read();
    // Nobody reads on: what the function has made stops growing once every buffer between is full.
    let made = 0;
    await until(async () => {
      const before = made;
      await sleep(300);
      made = (await state()).made;
      return made > 0 && made === before;
    });
    expect(made).toBeLessThan(32 * MIB);
    // Read on, and it makes more.
    for (let read = 0; read < made + MIB; ) read += (await reader?.read())?.value?.length ?? 0;
    expect((await state()).made).toBeGreaterThan(made);
    await reader?.cancel();
    await until(async () => (await state()).cancelled === 1);
    expect(await executionOf(node, answer)).toMatchObject({ status: 'cancelled', status_code: 200 });
  });

  it('that leaves before the answer is noticed by the function, and its slot is free', async () => {
    await node.deployFile('waits_for_abort.ts', { max_concurrency: 1, max_instances: 1 });
    expect(await (await node.call('waits_for_abort?quick')).text()).toBe('quick');
    for (let round = 0; round < 3; round++) {
      const log = await followLog(node, 'waits_for_abort');
      const client = new AbortController();
      const call = node.call('waits_for_abort', { signal: client.signal });
      call.catch(() => {}); // it is to be aborted
      await until(() => log.events().some(({ message }) => message === 'waiting'));
      client.abort();
      await expect(call).rejects.toThrow(/abort/i);
      await until(() => log.events().some(({ message }) => message === 'noticed the abort'));
      expect(await (await node.call('waits_for_abort?quick')).text()).toBe('quick');
      const id = log.events()[0]?.execution_id ?? '';
      await log.stop();
      const execution = await executionOf(node, id, ({ logs }) => logs?.includes('noticed') ?? false);
      expect(execution).toMatchObject({ status: 'cancelled', logs: 'waiting\nnoticed the abort' });
    }
  });

  it('gives up a stream that the function answers with all the same', async () => {
    await node.deployFile('waits_for_abort.ts', {}, 'streams_in_vain');
    const log = await followLog(node, 'streams_in_vain');
    const client = new AbortController();
    const call = node.call('streams_in_vain?stream', { signal: client.signal });
    call.catch(() => {}); // it is to be aborted
    await until(() => log.events().some(({ message }) => message === 'waiting'));
    client.abort();
    await until(() => log.events().some(({ message }) => message === 'stream given up'));
    await log.stop();
  });
});

describe('server-sent events', () => {
  it('arrive one by one: each is seen before the next is sent', async () => {
    await node.deployFile('sends_when_told.ts', { max_instances: 1 });
    const tell = (what: string) => node.call(`sends_when_told/${what}`);
    const answer = await node.call('sends_when_told/listen');
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const lines = linesOf(answer);
    for (const text of ['one', 'two', 'three']) {
      expect(lines.waiting()).toEqual([]);
      expect(await (await tell(`send?text=${text}`)).text()).toBe('told');
      expect(await lines.next()).toBe(`data: ${text}`);
    }
    await tell('end');
    await until(() => lines.ended() !== null);
    expect(lines.ended()).toBe('complete');
    expect(await executionOf(node, answer)).toMatchObject({
      status: 'success',
      status_code: 200,
      result: 'data: one\n\ndata: two\n\ndata: three\n\n',
    });
  });

  it('that break off in the middle are seen to be incomplete, and are an error', async () => {
    const answer = await node.call('sends_when_told/listen');
    const lines = linesOf(answer);
    await node.call('sends_when_told/send?text=last');
    expect(await lines.next()).toBe('data: last');
    await node.call('sends_when_told/break');
    await until(() => lines.ended() !== null);
    expect(lines.ended()).toBe('broken');
    expect(await executionOf(node, answer)).toMatchObject({ status: 'error', status_code: 200 });
  });
});

it('a stream that errors midway ends the answer there, and the next call is fine', async () => {
  await node.deployFile('stream_that_errors.ts', { max_instances: 1 });
  for (let call = 0; call < 3; call++) {
    const answer = await node.call('stream_that_errors');
    expect(answer.status).toBe(200);
    await expect(answer.text()).rejects.toThrow();
    const execution = await executionOf(node, answer);
    expect(execution).toMatchObject({ status: 'error', status_code: 200 });
    expect(execution.error_message).toMatch(/broke off/);
  }
});

describe('a WebSocket', () => {
  const open = (path = 'web_socket', protocols: string[] = [], key = node.anon_key) =>
    new WebSocket(`${node.url.replace('http', 'ws')}/functions/v1/${path}`, protocols, {
      headers: key === '' ? {} : { authorization: `Bearer ${key}` },
    });
  /** Every message so far, in order: text, or bytes. */
  const received = (socket: WebSocket) => {
    const messages: (string | Buffer)[] = [];
    socket.on('message', (data: Buffer, binary: boolean) => messages.push(binary ? data : data.toString()));
    return messages;
  };
  const executionIn = async (socket: WebSocket): Promise<string> => {
    const [answer] = await once(socket, 'upgrade');
    return String(answer.headers['x-execution-id']);
  };
  /** The answer of a handshake that is refused, as a Response. */
  const refusal = async (socket: WebSocket): Promise<Response> => {
    const [, answer] = await once(socket, 'unexpected-response');
    const body = await new Response(answer).text();
    return new Response(body, { status: answer.statusCode, headers: answer.headers });
  };

  beforeAll(() => node.deployFile('web_socket.ts'));

  it('carries text and bytes both ways, and the client may close it', async () => {
    const socket = open('web_socket/room?name=a%20b');
    const messages = received(socket);
    const id = await executionIn(socket);
    await until(() => messages.length === 1);
    expect(messages[0]).toBe('open /functions/v1/web_socket/room?name=a%20b');
    for (let index = 0; index < 100; index++) socket.send(`text ${index} ü`);
    const bytes = Buffer.alloc(300_000, 7);
    socket.send(bytes);
    await until(() => messages.length === 102);
    expect(messages.slice(1, 101)).toEqual(Array.from({ length: 100 }, (_, index) => `text ${index} ü`));
    expect(bytes.equals(Buffer.from(messages[101] ?? ''))).toBe(true);
    socket.close(4001, 'enough');
    const [code] = await once(socket, 'close');
    expect(code).toBe(4001);
    const execution = await executionOf(node, id, ({ logs }) => logs !== null);
    expect(execution).toMatchObject({
      status: 'success',
      status_code: 101,
      trigger_type: 'http',
      logs: 'closed 4001 enough',
    });
  });

  it('may be closed by the function, with its code and reason', async () => {
    const socket = open();
    await once(socket, 'open');
    socket.send('close me');
    const [code, reason] = await once(socket, 'close');
    expect([code, String(reason)]).toEqual([4002, 'as you wish']);
  });

  it('speaks the subprotocol that the function chooses', async () => {
    const socket = open('web_socket', ['chat.v2', 'chat.v1']);
    await once(socket, 'open');
    expect(socket.protocol).toBe('chat.v2');
    socket.close();
    await once(socket, 'close');
  });

  it('that breaks without a word is over for the function as well', async () => {
    const socket = open();
    const [id] = await Promise.all([executionIn(socket), once(socket, 'open')]);
    socket.terminate();
    const execution = await executionOf(node, id, ({ logs }) => logs?.includes('closed') ?? false);
    expect(execution).toMatchObject({ status: 'success', status_code: 101 });
  });

  it('takes a slot while it is open, and frees it', async () => {
    await node.deployFile('web_socket.ts', { max_concurrency: 1, max_instances: 1 }, 'one_socket');
    for (let round = 0; round < 3; round++) {
      const socket = open('one_socket');
      await once(socket, 'open');
      const waiting = node.call('one_socket');
      socket.close();
      expect((await waiting).status).toBe(426);
    }
  });

  it('is refused by the function with an answer of its own', async () => {
    const answer = await refusal(open('web_socket?refuse'));
    expect([answer.status, await answer.text()]).toEqual([403, 'not you']);
    expect(answer.headers.get('x-hearth')).toBeNull();
    expect(await executionOf(node, answer)).toMatchObject({ status: 'success', status_code: 403 });
  });

  it('is refused by the platform with the contract’s errors', async () => {
    expect(await errorOf(await refusal(open('nobody')))).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(await errorOf(await refusal(open('web_socket', [], '')))).toMatchObject({
      status: 401,
      code: 'UNAUTHENTICATED',
    });
    await node.deployFile('exits.js');
    expect(await errorOf(await refusal(open('exits')))).toMatchObject({
      status: 502,
      code: 'FUNCTION_CRASHED',
    });
    await node.deployFile('throws_a_string.js');
    const failed = await refusal(open('throws_a_string'));
    expect(await failed.clone().text()).not.toContain('only words');
    expect(await errorOf(failed)).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
  });
});
