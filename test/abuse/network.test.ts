/** Attacks over the network: ports of the machine, the platform's own sockets and API, and what has no network at all. */
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { underEachSandbox } from './stage.js';

underEachSandbox('network', (stage) => {
  it('listens_on_tcp.ts opens no port that others can reach', async () => {
    // Behind bubblewrap the first try ends the process.
    const open = await stage.waysOpen('listens_on_tcp', {
      settings: { memory_limit_mb: 1024 },
      mayEnd: stage.kind === 'bwrap',
    });
    const reached: string[] = [];
    for (const [way, outcome] of Object.entries(open)) {
      const port = Number(/port (\d+)/.exec(outcome)?.[1]);
      if (await isReached(port)) reached.push(way);
    }
    expect(reached).toEqual(Object.keys(stage.openWays('listens_on_tcp')));
  });

  it.each([
    'listens_on_udp',
    'takes_the_platforms_port',
    'shares_the_platforms_port',
    'manages_the_platform',
  ])('%s.ts gets nothing of it', async (file) => {
    // Behind bubblewrap a port that is opened by node:net ends the process.
    const mayEnd = file === 'shares_the_platforms_port' || file === 'takes_the_platforms_port';
    expect(await stage.waysOpen(file, { mayEnd })).toEqual(stage.openWays(file));
    expect((await fetch(`${stage.node.url}/healthz`)).status).toBe(200);
  });

  it.each(['connects_without_leave', 'keeps_what_it_opened_while_loading'])(
    '%s.ts reaches no one with allow_net false',
    async (file) => {
      let reached = 0;
      const server = createServer((_, response) => {
        reached++;
        response.end('reached');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      try {
        const address = server.address();
        const port = typeof address === 'object' ? address?.port : 0;
        const settings = { allow_net: false, timeout_seconds: 20, memory_limit_mb: 1024 };
        const json = { url: `http://127.0.0.1:${port}` };
        expect(await stage.waysOpen(file, { settings, json })).toEqual(stage.openWays(file));
        expect(reached).toBe(0);
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  );

  it('opens_the_database.ts reaches none of the platform’s sockets', async () => {
    const database = /host=([^ ]+)|socket (\S+)/.exec(stage.node.output())?.[1];
    const json = {
      neighbour: `${stage.neighboursFolder}/run/s.sock`,
      neighbours_control: `${stage.neighboursFolder}/run/c.sock`,
      database: `${database ?? stage.node.dataDir}/.s.PGSQL.5432`,
    };
    const settings = { allow_read: true, allow_write: true };
    const open = await stage.waysOpen('opens_the_database', { settings, json });
    expect(open).toEqual(stage.openWays('opens_the_database'));
  });

  it('calls_itself.ts ends when its slots are taken', async () => {
    const settings = { timeout_seconds: 2, max_concurrency: 4, max_instances: 2 };
    const { answer } = await stage.attack('calls_itself', { settings });
    expect(answer.status).toBeGreaterThanOrEqual(200);
    await stage.remove('calls_itself');
  });
});

async function isReached(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
