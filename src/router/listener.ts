/** HTTP on the connections that a router is given: the supervisor accepts them (supervisor/connections.ts). */
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { HearthError } from '../errors.js';
import { ClientAnswer, KEEP_ALIVE_MS } from './client_answer.js';
import { ClientConnection, type ConnectionLimits, connectionOf } from './client_connection.js';
import { ClientRequest, handOver } from './client_request.js';
import type { Crowd } from './crowd.js';
import type { Gateway } from './gateway.js';
import { createUuid7 } from './ids.js';
import { errorBody } from './respond.js';

export interface Listener {
  /** Serves a connection of which nothing has been read; null: one that was gone before it came. */
  accept(connection: Socket | null): void;
  /** Closes idle connections, and the others after their answer; resolves when the last one is closed. */
  close(): Promise<void>;
  closeAll(): void;
  /** Whether every byte that was written has left this process. */
  flushed(): boolean;
}

/** Bytes that a request's head may have. */
export const MAX_HEAD_BYTES = 32 * 1024;

export interface ListenerOptions extends Gateway {
  /** Counts the connections. */
  crowd: Crowd;
  /** So many connections have closed. */
  onClosed(connections: number): void;
  limits?: ConnectionLimits;
  /** Between two looks at all connections, in ms. Default 1,000; for tests. */
  lookMs?: number;
}

/** ms in which closed connections are counted together. */
const CLOSED_MS = 2;
const LOOK_MS = 1_000;
const LIMITS: ConnectionLimits = { idle: KEEP_ALIVE_MS / 1000, head: 60 };

export function createListener(gateway: ListenerOptions): Listener {
  const { limits = LIMITS, lookMs = LOOK_MS } = gateway;
  const onRequest = (incoming: IncomingMessage, outgoing: ClientAnswer) => {
    handOver(incoming);
    if (closing) {
      const connection = connectionOf(incoming.socket);
      // After an answer that says so nothing is served (RFC 9112, 9.6).
      if (connection === undefined || connection.endsAfterAnswer) return;
      connection.endsAfterAnswer = true;
      outgoing.shouldKeepAlive = false;
    }
    gateway.onRequest(incoming, outgoing);
  };
  const server = createServer<typeof IncomingMessage, typeof ClientAnswer>(
    {
      IncomingMessage: ClientRequest,
      ServerResponse: ClientAnswer,
      maxHeaderSize: MAX_HEAD_BYTES,
      // Its timeouts do not count: they begin with the event 'listening', and connections are watched over here.
      keepAliveTimeout: 0,
      // Node would answer with an empty body; the gateway answers with the contract's error.
      requireHostHeader: false,
    },
    onRequest,
  );
  const uuid7 = createUuid7();
  const connections = new Set<ClientConnection>();
  let closing = false;
  let closed = 0;
  function noteClosed() {
    if (++closed > 1) return;
    setTimeout(() => {
      gateway.onClosed(closed);
      closed = 0;
    }, CLOSED_MS);
  }
  let onLast: (() => void) | null = null;
  server.on('upgrade', (incoming, socket, head) => {
    handOver(incoming);
    connectionOf(incoming.socket)?.leave();
    gateway.onUpgrade(incoming, socket, head);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuse(socket as Socket, error.code));
  // Expectations that nobody knows may be passed over (RFC 9110, 10.1.1).
  server.on('checkExpectation', onRequest);
  server.on('connect', (_, socket) => {
    socket.on('error', () => {}); // the client is gone: there is nobody to answer
    socket.end(malformedAnswer('CONNECT', uuid7(Date.now())));
  });

  function refuse(socket: Socket, code: string | undefined) {
    const answering: unknown = Reflect.get(socket, '_httpMessage');
    const begun = answering instanceof ClientAnswer && answering.headersSent;
    // An answer that has begun is cut off rather than followed by another that would look like a part of it.
    if (begun || !socket.writable || code === 'ECONNRESET') return void socket.destroy();
    socket.end(malformedAnswer(code, uuid7(Date.now())));
  }

  // A body may take as long as its function may run; the call's own deadline ends it.
  const looks = setInterval(() => {
    if (closing) closeIdle();
    for (const connection of connections) {
      const expiry = connection.look(limits);
      if (expiry === 'idle') connection.socket.destroy();
      else if (expiry === 'slow') refuse(connection.socket, SLOW);
    }
  }, lookMs).unref();

  function closeIdle() {
    for (const connection of connections) if (connection.isIdle()) connection.socket.destroy();
  }

  return {
    accept(socket) {
      if (socket === null) return noteClosed();
      // A client that has sent all it will may yet read.
      socket.allowHalfOpen = true;
      const connection = new ClientConnection(socket);
      connections.add(connection);
      gateway.crowd.connections++;
      socket.once('close', () => {
        connections.delete(connection);
        gateway.crowd.connections--;
        noteClosed();
        if (connections.size === 0) onLast?.();
      });
      server.emit('connection', socket);
    },
    async close() {
      closing = true;
      closeIdle();
      if (connections.size > 0)
        await new Promise<void>((resolve) => {
          onLast = resolve;
        });
      clearInterval(looks);
    },
    closeAll() {
      for (const connection of connections) if (!connection.hasLeft()) connection.socket.destroy();
    },
    flushed: () => [...connections].every(({ socket }) => socket.writableLength === 0),
  };
}

/** The code of a request whose head does not arrive in time. */
const SLOW = 'ERR_HTTP_REQUEST_TIMEOUT';

/** What Node's parser rejects never becomes a request; it gets the contract's error all the same. */
function malformedAnswer(code: string | undefined, requestId: string): string {
  const error =
    code === 'HPE_HEADER_OVERFLOW'
      ? new HearthError('TOO_LARGE', `The request's head is larger than ${MAX_HEAD_BYTES} bytes.`)
      : code === SLOW
        ? new HearthError('INVALID_REQUEST', 'The request did not arrive in time.')
        : code === 'CONNECT'
          ? new HearthError('INVALID_REQUEST', 'This is no proxy.')
          : new HearthError('INVALID_REQUEST', 'The request is not valid HTTP.');
  const body = errorBody(error, { requestId });
  return (
    `HTTP/1.1 ${error.status} ${error.status === 413 ? 'Content Too Large' : 'Bad Request'}\r\n` +
    `content-type: application/json\r\nx-request-id: ${requestId}\r\n` +
    `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
  );
}
