import type { IncomingMessage } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NO_POLL } from './busy_poll.js';
import type { ClientAnswer } from './client_answer.js';
import type { ConnectionLimits } from './client_connection.js';
import { Crowd } from './crowd.js';
import { createListener, type Listener } from './listener.js';

const BUNCH = 2;
const HOST = 'host: a\r\n';

let crowd: Crowd;
let closed: number;
let limits: ConnectionLimits;
let listener: Listener;
/** What the gateway does. */
let serve: (incoming: IncomingMessage, outgoing: ClientAnswer) => void;
let port: number;
const server = createServer();
const clients: Socket[] = [];

beforeEach(async () => {
  crowd = new Crowd(BUNCH, NO_POLL);
  closed = 0;
  serve = (_, outgoing) => void outgoing.end('ok');
  limits = { idle: 20, head: 10 };
  listener = createListener({
    limits,
    lookMs: 10,
    crowd,
    onClosed: (connections) => {
      closed += connections;
    },
    onRequest: (incoming, outgoing) => serve(incoming, outgoing),
    onUpgrade: (_, socket) => void socket.destroy(),
  });
  server.on('connection', listener.accept);
  port = await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await listener.close();
  server.removeAllListeners('connection').close();
});

async function connected(): Promise<Socket> {
  const client = connect(port, '127.0.0.1');
  clients.push(client);
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await new Promise((resolve) => client.once('data', resolve));
  return client;
}

it('counts its connections: they are few until the cores are busy with them, and again when one has closed', async () => {
  expect(crowd.isSmall()).toBe(true);
  await connected();
  expect(crowd.isSmall()).toBe(true);
  const second = await connected();
  expect(crowd.isSmall()).toBe(false);
  second.destroy();
  await expect.poll(() => closed).toBe(1);
  expect(crowd.connections).toBe(1);
  expect(crowd.isSmall()).toBe(true);
});

/** All that a client receives until its connection is closed. */
function received(client: Socket): Promise<string> {
  let text = '';
  client.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  return new Promise((resolve) => client.once('close', () => resolve(text)));
}

function sending(text: string): Socket {
  const client = connect(port, '127.0.0.1');
  clients.push(client);
  client.write(text);
  return client;
}

describe('a connection', () => {
  it('is closed when it is idle, before a request and after one', async () => {
    expect(await received(sending(''))).toBe('');
    expect(await received(sending(`GET / HTTP/1.1\r\n${HOST}\r\n`))).toMatch(/^HTTP\/1\.1 200 .*ok$/s);
  });

  it('that does not end its head is told so', async () => {
    const client = sending('GET / HTTP/1.1\r\n');
    const drip = setInterval(() => client.write('a: b\r\n'), 5);
    const text = await received(client);
    clearInterval(drip);
    expect(text).toMatch(/^HTTP\/1\.1 400 .*did not arrive in time.*INVALID_REQUEST/s);
  });

  it('stays while it is served, and while its body comes', async () => {
    serve = (incoming, outgoing) => {
      let bytes = 0;
      incoming.on('data', (chunk) => {
        bytes += chunk.length;
      });
      incoming.on('end', () => setTimeout(() => outgoing.end(`${bytes} bytes`), 500));
    };
    const client = sending(`POST / HTTP/1.1\r\n${HOST}content-length: 100\r\n\r\n`);
    const text = received(client);
    for (let n = 0; n < 100; n++) {
      client.write('x');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(await text).toContain('100 bytes');
  });

  it('that has all its answers is closed when the node stops, and others after theirs', async () => {
    limits.idle = Number.POSITIVE_INFINITY;
    const idle = await connected();
    const gone = received(idle);
    const ends: (() => void)[] = [];
    serve = (_, outgoing) => void ends.push(() => void outgoing.end());
    const text = received(sending(`GET / HTTP/1.1\r\n${HOST}\r\n`));
    await expect.poll(() => ends.length).toBe(1);
    const stopped = listener.close();
    await gone;
    await expect.poll(() => crowd.connections).toBe(1);
    const two = `GET / HTTP/1.1\r\n${HOST}\r\n`.repeat(2);
    const next = received(sending(two));
    await expect.poll(() => ends.length).toBe(2);
    for (const end of ends) end();
    expect(await text).toContain('keep-alive');
    expect(await next).toContain('Connection: close');
    await stopped;
    expect(ends).toHaveLength(2);
  });
});

describe('a request', () => {
  it('has all its headers once it is served', async () => {
    let headers: unknown;
    serve = (incoming, outgoing) => {
      headers = incoming.headers;
      outgoing.end();
    };
    await received(sending(`GET / HTTP/1.1\r\n${HOST}x-a: b\r\n\r\n`));
    expect(headers).toEqual({ host: 'a', 'x-a': 'b' });
    await received(sending('GET / HTTP/1.0\r\nx-a: c\r\n\r\n'));
    expect(headers).toEqual({ 'x-a': 'c' });
  });

  it('that waits for the word to go on gets it', async () => {
    serve = (incoming, outgoing) => void incoming.pipe(outgoing);
    const client = sending(`POST / HTTP/1.1\r\n${HOST}EXPECT: 100-continue\r\ncontent-length: 2\r\n\r\n`);
    client.once('data', () => client.write('hi'));
    expect(await received(client)).toMatch(/^HTTP\/1\.1 100 Continue.*HTTP\/1\.1 200 OK.*hi/s);
  });

  it.each(['GET', 'POST', 'DELETE'])(
    'by %s without a body comes to its end for whoever reads it',
    async (method) => {
      for (const late of [false, true]) {
        serve = (incoming, outgoing) => {
          const read = () => incoming.on('data', () => {}).on('end', () => void outgoing.end('read'));
          if (late) setTimeout(read, 20);
          else read();
        };
        expect(await received(sending(`${method} / HTTP/1.1\r\n${HOST}\r\n`))).toContain('read');
      }
    },
  );

  it('by GET may have a body', async () => {
    serve = (incoming, outgoing) => void incoming.pipe(outgoing);
    const text = received(sending(`GET / HTTP/1.1\r\n${HOST}content-length: 2\r\n\r\nhi`));
    expect(await text).toMatch(/hi\r\n0\r\n\r\n$/);
  });

  it('whose body nobody reads leaves the connection to the next one', async () => {
    let served = 0;
    serve = (_, outgoing) => void outgoing.end(`answer ${++served}`);
    const body = 'x'.repeat(200_000);
    const one = `GET / HTTP/1.1\r\n${HOST}content-length: ${body.length}\r\n\r\n${body}`;
    const none = `GET / HTTP/1.1\r\n${HOST}\r\n`;
    expect(await received(sending(one + none + one + none))).toMatch(
      /answer 1.*answer 2.*answer 3.*answer 4/s,
    );
  });
});
