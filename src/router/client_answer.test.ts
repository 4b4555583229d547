/** What a head that is set puts on the wire is what Node itself would. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClientAnswer } from './client_answer.js';
import { createWholeHeads, wholeHeadText } from './whole_answer.js';

const IDS = ['x-request-id', 'r', 'x-execution-id', 'e'];

let server: Server<typeof IncomingMessage, typeof ClientAnswer>;
/** Which of two ways the answer goes. */
let whole: boolean;
let took: boolean[];
let answer: { status: number; head: string; body: string };

beforeEach(async () => {
  whole = true;
  took = [];
  answer = { status: 200, head: 'content-type\ntext/plain', body: 'hello' };
  server = createServer({ ServerResponse: ClientAnswer, keepAliveTimeout: 0 }, (_incoming, outgoing) => {
    const { status, head, body } = answer;
    took.push(outgoing.takesHead());
    if (whole && outgoing.takesHead()) {
      const known = createWholeHeads()(status, head);
      if (known === null) throw new Error('it is not whole');
      outgoing.setHead(status, wholeHeadText(known, body.length, IDS) ?? '');
      outgoing.endWith(Buffer.from(body, 'latin1'));
    } else {
      outgoing.writeHead(status, [...head.split('\n'), 'content-length', String(body.length), ...IDS]);
      outgoing.end(Buffer.from(body, 'latin1'));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** All that the server sends until so many answers are there. */
function exchange(requests: string, answers: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    let text = '';
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const heads = text.split('\r\n\r\n').length - 1;
      if (heads < answers || !text.endsWith(answer.body)) return;
      socket.destroy();
      resolve(text.replaceAll(/Date: [^\r]*/g, 'Date: …'));
    });
    socket.write(requests);
  });
}

async function bothWays(requests: string, answers = 1): Promise<string> {
  const sent = await exchange(requests, answers);
  whole = false;
  expect(sent).toBe(await exchange(requests, answers));
  return sent;
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

describe('an answer whose head is set', () => {
  it('has the bytes that writeHead would make of it', async () => {
    expect(await bothWays(GET)).toBe(
      'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nx-request-id: r\r\nx-execution-id: e\r\n' +
        'Date: …\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\nhello',
    );
    expect(took).toEqual([true, true]);
  });

  it.each([
    ['no body', { status: 201, head: 'location\n/a', body: '' }],
    ['a status that has no name', { status: 299, head: 'a\nb', body: 'x' }],
    ['several headers of a name', { status: 200, head: 'set-cookie\na=1\nset-cookie\nb=2', body: 'x' }],
    ['bytes that are no ASCII', { status: 200, head: 'x-a\n\u00e9', body: '\u00ff\u0000\u0080' }],
  ])('has them with %s', async (_, given) => {
    answer = given;
    await bothWays(GET);
    expect(took).toEqual([true, true]);
  });

  it('keeps the order of requests that came together', async () => {
    const sent = await bothWays(GET + GET + GET, 3);
    expect(sent.split('hello')).toHaveLength(4);
  });

  it('tells its time', async () => {
    const before = Math.floor(Date.now() / 1000) * 1000;
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const date = Date.parse(response.headers.get('date') ?? '');
    expect(date).toBeGreaterThanOrEqual(before);
    expect(date).toBeLessThanOrEqual(Date.now());
  });

  it.each([
    ['that wants the connection closed', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['of HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n'],
    ['of HTTP/1.0 that stays', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'],
  ])('is left to Node for a client %s', async (_, request) => {
    await bothWays(request);
    expect(took).toEqual([false, false]);
  });
});
