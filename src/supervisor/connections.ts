/** The node's public listener: it accepts connections, and gives each to a router, unread. */
import { randomInt } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { StartError } from '../errors.js';
import { bunchOf, fewOf, placeConnection, type RouterLoad } from './placement.js';

export interface Connections {
  /** Connections of one router from which on the node's cores are all busy. */
  readonly few: number;
  /** Begins to accept. @throws StartError */
  listen(address: { host: string; port: number }): Promise<void>;
  /** It can be given connections. */
  routerUp(router: number): void;
  /** And all its connections with it. */
  routerGone(router: number): void;
  /** So many of its connections have closed. */
  closed(router: number, connections: number): void;
  /** Accepts no more. */
  stop(): void;
}

export interface ConnectionsOptions {
  /** False: it is not there any more. */
  give(router: number, socket: Socket): boolean;
  onError(error: unknown): void;
}

/** Connections that wait while there is no router, which is for as long as one takes to be forked again. */
const MAX_WAITING = 1024;
/** As the kernel allows (net.core.somaxconn). */
const BACKLOG = 4096;

export function createConnections({ give, onError }: ConnectionsOptions): Connections {
  const loads = new Map<number, RouterLoad>();
  const cores = availableParallelism();
  const bunch = bunchOf(cores);
  let waiting: Socket[] = [];
  let stopped = false;
  // Nothing is read here: what a client has sent goes with its connection.
  const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, place);

  function place(socket: Socket): void {
    const id = placeConnection(loads.values(), bunch);
    const load = id === null ? undefined : loads.get(id);
    if (id === null || load === undefined) {
      if (stopped || waiting.length >= MAX_WAITING) socket.destroy();
      else waiting.push(socket);
      return;
    }
    if (give(id, socket)) {
      load.connections++;
      return;
    }
    loads.delete(id);
    place(socket);
  }

  return {
    few: fewOf(cores),
    async listen(address) {
      await bind(server, address, 'HEARTH_PORT');
      server.on('error', onError);
    },
    routerUp(router) {
      loads.set(router, { id: router, connections: 0 });
      const first = waiting;
      waiting = [];
      for (const socket of first) place(socket);
    },
    routerGone: (router) => void loads.delete(router),
    closed(router, connections) {
      const load = loads.get(router);
      if (load !== undefined) load.connections = Math.max(0, load.connections - connections);
    },
    stop() {
      stopped = true;
      server.close();
      for (const socket of waiting) socket.destroy();
      waiting = [];
    },
  };
}

function bind(
  server: ReturnType<typeof createServer>,
  { host, port }: { host: string; port: number },
  setting: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException) =>
      reject(new StartError(explain(error, host, port, setting)));
    server.once('error', refused);
    server.listen({ host, port, exclusive: true, backlog: BACKLOG }, () => {
      server.off('error', refused);
      resolve();
    });
  });
}

/**
 * Ports for those who ask for any: below the range from which the system gives out ports itself (32768 and up on Linux,
 * 49152 on macOS), because one of those may be another's by the time that the node listens.
 */
const FREE_PORTS = { first: 20_000, count: 12_000 };
const TRIES = 20;

/** The port to listen on, free at this moment; 0 becomes a real one, to be told before anyone listens. */
export async function reservePort(host: string, port: number, setting: string): Promise<number> {
  for (let attempt = 0; port === 0 && attempt < TRIES; attempt++) {
    const candidate = FREE_PORTS.first + randomInt(FREE_PORTS.count);
    try {
      return await tryPort(host, candidate);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') break; // the address is to blame
    }
  }
  try {
    return await tryPort(host, port);
  } catch (error) {
    throw new StartError(explain(error as NodeJS.ErrnoException, host, port, setting));
  }
}

async function tryPort(host: string, port: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      const found = typeof address === 'object' && address !== null ? address.port : port;
      server.close(() => resolve(found));
    });
  });
}

function explain(error: NodeJS.ErrnoException, host: string, port: number, setting: string): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `${host}:${port} is in use by another program: set ${setting} to a free port, or to 0`;
    case 'EACCES':
      return `this user may not listen on ${host}:${port}: set ${setting} to a port of 1024 or more`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${host} is no address of this machine: set HEARTH_HOST to one`;
    default:
      return `cannot listen on ${host}:${port}: ${error.message}`;
  }
}
