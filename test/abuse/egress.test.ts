/** Attacks on the walls around the network: a denied address by every way. A loopback one stands in for the real ones. */
import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { underEachSandbox } from './stage.js';

/** In HEARTH_EGRESS_DENY; nothing of the machine listens there but these tests. */
const DENIED = '127.0.0.2';

let denied: Server;
let allowed: Server;
let datagrams: Socket;
/** Connections, requests and datagrams that came to the denied address. */
let reached: string[] = [];
let port = 0;
let allowedPort = 0;
let datagramPort = 0;

beforeAll(async () => {
  denied = createServer((_, response) => response.end('denied'));
  denied.on('connection', ({ remoteAddress }) => reached.push(`connection from ${remoteAddress}`));
  allowed = createServer((request, response) => {
    if (request.url === '/allowed') response.end('allowed');
    else response.writeHead(307, { location: `http://${DENIED}:${port}/` }).end();
  });
  datagrams = createSocket('udp4', () => reached.push('datagram'));
  port = await listening(denied, DENIED);
  allowedPort = await listening(allowed, '127.0.0.1');
  await new Promise<void>((resolve) => datagrams.bind(0, DENIED, resolve));
  datagramPort = datagrams.address().port;
});

afterAll(async () => {
  for (const server of [denied, allowed]) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  await new Promise<void>((resolve) => datagrams.close(resolve));
});

underEachSandbox(
  'egress',
  (stage) => {
    const expectRefused = async (file: string, json: Record<string, unknown>, memory_limit_mb = 128) => {
      reached = [];
      const settings = { timeout_seconds: 20, memory_limit_mb };
      expect(await stage.waysOpen(file, { settings, json })).toEqual(stage.openWays(file));
      expect(reached, 'what came to the denied address').toEqual([]);
    };

    it.each(['fetches_denied_addresses', 'connects_to_denied_addresses', 'opens_web_sockets'])(
      '%s.ts reaches none of them',
      async (file) => await expectRefused(file, spellings()),
    );

    it('reaches_out_of_a_worker.ts reaches none of them', async () => {
      await expectRefused('reaches_out_of_a_worker', spellings(), 1024);
    });

    it('follows_a_redirect.ts is not followed into one', async () => {
      await expectRefused('follows_a_redirect', { redirecting: `http://127.0.0.1:${allowedPort}/` });
    });

    it.each(['uses_a_proxy', 'resolves_for_itself'])('%s.ts reaches none through another', async (file) => {
      const json = {
        denied: `http://${DENIED}:${port}/`,
        allowed: `http://127.0.0.1:${allowedPort}/allowed`,
      };
      await expectRefused(file, json);
    });

    it('sends_datagrams.ts sends none there', async () => {
      await expectRefused('sends_datagrams', {
        address: `udp4 ${DENIED} ${datagramPort}`,
        mapped: `udp6 ::ffff:${DENIED} ${datagramPort}`,
      });
    });

    it('reaches_out_while_loading.ts reaches none of them', async () => {
      reached = [];
      const replace: [string, string] = ['@ADDRESS@', `${DENIED}:${port}`];
      const open = await stage.waysOpen('reaches_out_while_loading', { replace });
      expect(open).toEqual(stage.openWays('reaches_out_while_loading'));
      expect(reached).toEqual([]);
    });

    it('fetches_denied_addresses.ts does not reach loopback by the address that means all', async () => {
      const open = await stage.waysOpen('fetches_denied_addresses', {
        json: {
          unspecified: `http://0.0.0.0:${allowedPort}/allowed`,
          unspecified_short: `http://0:${allowedPort}/allowed`,
          unspecified_six: `http://[::]:${allowedPort}/allowed`,
          unspecified_mapped: `http://[::ffff:0.0.0.0]:${allowedPort}/allowed`,
        },
      });
      expect(open).toEqual({});
    });

    it('fetches_denied_addresses.ts does not read the node’s metrics', async () => {
      const open = await stage.waysOpen('fetches_denied_addresses', {
        json: {
          metrics: stage.node.metrics_url,
          by_name: stage.node.metrics_url.replace('127.0.0.1', 'localhost'),
        },
      });
      expect(open).toEqual({});
    });

    it('listens_on_a_denied_address.ts does not', async () => {
      const open = await stage.waysOpen('listens_on_a_denied_address');
      expect(open).toEqual(stage.openWays('listens_on_a_denied_address'));
    });

    it('calls_the_platform.ts reaches the platform, whatever is denied', async () => {
      const { text } = await stage.attack('calls_the_platform');
      expect(JSON.parse(text)).toEqual({ answered: 200 });
    });
  },
  { HEARTH_EGRESS_DENY: `${DENIED}/32` },
);

/** The same address as clients may write it. */
function spellings(): Record<string, string> {
  const hosts = {
    plain: DENIED,
    short: '127.2',
    decimal: '2130706434',
    hexadecimal: '0x7f000002',
    octal: '0177.0.0.02',
    mapped: `[::ffff:${DENIED}]`,
    mapped_hexadecimal: '[::ffff:7f00:2]',
    mapped_long: '[0:0:0:0:0:ffff:7f00:0002]',
    wide_digits: '１２７.0.0.2',
    trailing_dot: `${DENIED}.`,
  };
  return Object.fromEntries(Object.entries(hosts).map(([name, host]) => [name, `http://${host}:${port}/`]));
}

async function listening(server: Server, host: string): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
