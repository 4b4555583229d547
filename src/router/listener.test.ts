import { connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Crowd } from './crowd.js';
import { createListener, type Listener } from './listener.js';

const BUNCH = 2;

let crowd: Crowd;
let closed: number;
let listener: Listener;
let port: number;
const server = createServer();
const clients: Socket[] = [];

beforeEach(async () => {
  crowd = new Crowd(BUNCH);
  closed = 0;
  listener = createListener({
    crowd,
    onClosed: (connections) => {
      closed += connections;
    },
    onRequest: (_, outgoing) => void outgoing.end('ok'),
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

it('counts its connections: they are few until it has a bunch of them, and again when one has closed', async () => {
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
