/** A TCP address for a PostgreSQL that listens on a Unix socket, so that a node can be given it as DATABASE_URL. */
import { createServer, connect as dial, type Socket } from 'node:net';
import type { SocketConnection } from '../../src/store/connection.js';

export interface DatabaseUrl {
  readonly url: string;
  stop(): Promise<void>;
}

/** What the server says or does not say goes through unchanged: where it does not listen, the connection is closed. */
export async function databaseUrl(connection: SocketConnection): Promise<DatabaseUrl> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = dial(`${connection.host}/.s.PGSQL.${connection.port}`);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket);
      socket.on('error', () => {}); // 'close' follows
      socket.on('close', () => {
        open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port for the database');
  const { user, password, database } = connection;
  return {
    url: `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${address.port}/${database}`,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
