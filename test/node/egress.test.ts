/** What functions reach and what they do not, on real nodes; loopback addresses stand for the denied ones. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseUrl } from '../support/database_url.js';
import { startNode, type TestNode } from '../support/node.js';
import { startTestPostgres } from '../support/postgres.js';

/** Listens for TCP and UDP at one address and port, and counts what arrives. */
interface Stand {
  port: number;
  arrived(): number;
  close(): void;
}

async function standAt(address: string): Promise<Stand> {
  let arrived = 0;
  const server: Server = createServer((_, response) => response.end('here'));
  server.on('connection', () => arrived++);
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;
  const datagrams: UdpSocket = createSocket('udp4', () => arrived++);
  await new Promise<void>((resolve) => datagrams.bind(port, address, resolve));
  return {
    port,
    arrived: () => arrived,
    close() {
      server.closeAllConnections();
      server.close();
      datagrams.close();
    },
  };
}

async function tryEverything(node: TestNode, target: Record<string, unknown>) {
  const redirect = `${node.url}/functions/v1/redirects?to=${target.address}:${target.port}`;
  const answer = await node.call('tries_to_connect', {
    method: 'POST',
    body: JSON.stringify({ ...target, redirect, own: '127.0.0.5' }),
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, string>;
}

const redirects = `export default (request) => {
  const to = new URL(request.url).searchParams.get('to');
  return new Response(null, { status: 302, headers: { location: 'http://' + to + '/' } });
};`;

describe.each(['auto', 'permissions'])(
  'with HEARTH_SANDBOX=%s, an address that HEARTH_EGRESS_DENY lists',
  (sandbox) => {
    let node: TestNode;
    let denied: Stand;
    beforeAll(async () => {
      denied = await standAt('127.0.0.1');
      node = await startNode({
        HEARTH_HOST: '127.0.0.3',
        HEARTH_SANDBOX: sandbox,
        HEARTH_EGRESS_DENY: '127.0.0.1, 127.0.0.2/32',
        HEARTH_ROUTERS: '1',
      });
      await node.deployFile('tries_to_connect.js');
      await node.deploy('redirects', redirects, { allow_unauthenticated: true });
    });
    afterAll(async () => {
      await node?.remove();
      denied?.close();
    });

    it('is reached by none of the ways there are', async () => {
      const outcomes = await tryEverything(node, {
        address: '127.0.0.1',
        name: 'localhost',
        port: denied.port,
      });
      expect(Object.keys(outcomes).length).toBeGreaterThan(25);
      expect(Object.entries(outcomes).filter(([, outcome]) => outcome === 'open')).toEqual([]);
      expect(denied.arrived()).toBe(0);
    });

    it('leaves others within reach, by the same ways', async () => {
      const open = await standAt('127.0.0.4');
      try {
        const outcomes = await tryEverything(node, {
          address: '127.0.0.4',
          name: '127.0.0.4',
          port: open.port,
        });
        for (const way of [
          'fetch by address',
          'fetch by a redirect',
          'Deno.connect',
          'node:net',
          'node:http',
          'node:dgram',
        ])
          expect(outcomes, way).toMatchObject({ [way]: 'open' });
        expect(open.arrived()).toBeGreaterThan(5);
      } finally {
        open.close();
      }
    });

    it('does not keep a function from the platform, nor let it see the metrics', async () => {
      await node.deploy('asks', asks);
      const metrics = new URL(node.metrics_url).port;
      const answer = await node.call('asks', {
        method: 'POST',
        body: JSON.stringify(['127.0.0.3', '127.0.0.9'].map((host) => `http://${host}:${metrics}/metrics`)),
      });
      expect(await answer.json()).toMatchObject({ platform: 200, others: ['NotCapable', 'NotCapable'] });
    });
  },
);

/** Calls the platform at HEARTH_URL, and each of the addresses that it is given. */
const asks = `export default async (request) => {
  const reach = (url) => fetch(url).then((answer) => answer.status, (error) => error.name);
  const url = Deno.env.get('HEARTH_URL');
  return { url, platform: await reach(url + '/healthz'), others: await Promise.all((await request.json()).map(reach)) };
};`;

describe('on a node that listens on every address', () => {
  it('private and loopback addresses are denied, and the platform is reached at one that nothing else listens on', async () => {
    const local = await standAt('127.0.0.1');
    const node = await startNode({ HEARTH_HOST: '0.0.0.0', HEARTH_ROUTERS: '1' });
    try {
      await node.deploy('asks', asks);
      const metrics = new URL(node.metrics_url).port;
      const own = new URL(node.url).port;
      const answer = await node.call('asks', {
        method: 'POST',
        body: JSON.stringify([
          `http://127.0.0.1:${local.port}/`,
          `http://127.0.0.1:${own}/healthz`,
          `http://127.72.69.65:${metrics}/metrics`,
        ]),
      });
      expect(await answer.json()).toEqual({
        url: `http://127.72.69.65:${own}`,
        platform: 200,
        others: ['NotCapable', 'NotCapable', 'NotCapable'],
      });
      expect(local.arrived()).toBe(0);
    } finally {
      await node.remove();
      local.close();
    }
  });
});

describe('the database of DATABASE_URL', () => {
  it('is not reached, by none of the loopback addresses that it may listen on', async () => {
    const postgres = await startTestPostgres();
    const address = await databaseUrl(await postgres.database({ empty: true }));
    const node = await startNode({ DATABASE_URL: address.url, HEARTH_ROUTERS: '1' });
    try {
      await node.deploy('asks', asks);
      const { port } = new URL(address.url);
      const hosts = ['127.0.0.1', 'localhost', '127.0.0.2'];
      const answer = await node.call('asks', {
        method: 'POST',
        body: JSON.stringify(hosts.map((host) => `http://${host}:${port}/`)),
      });
      expect(await answer.json()).toMatchObject({
        platform: 200,
        others: ['NotCapable', expect.stringMatching(/NotCapable|TypeError/), 'NotCapable'],
      });
    } finally {
      await node.remove();
      await address.stop();
      await postgres.stop();
    }
  });
});
