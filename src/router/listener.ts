/** HTTP on the connections that a router is given: the supervisor accepts them (supervisor/connections.ts). */
import { createServer, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { HearthError } from '../errors.js';
import { ClientAnswer, KEEP_ALIVE_MS } from './client_answer.js';
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
}

/** ms in which closed connections are counted together. */
const CLOSED_MS = 2;

export function createListener(gateway: ListenerOptions): Listener {
  const server = createServer<typeof IncomingMessage, typeof ClientAnswer>(
    {
      ServerResponse: ClientAnswer,
      maxHeaderSize: MAX_HEAD_BYTES,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: 60_000,
      // A body may take as long as its function may run; the call's own deadline ends it.
      requestTimeout: 0,
      // Node would answer with an empty body; the gateway answers with the contract's error.
      requireHostHeader: false,
    },
    gateway.onRequest,
  );
  const uuid7 = createUuid7();
  const sockets = new Set<Socket>();
  let closed = 0;
  function noteClosed() {
    if (++closed > 1) return;
    setTimeout(() => {
      gateway.onClosed(closed);
      closed = 0;
    }, CLOSED_MS);
  }
  let onLast: (() => void) | null = null;
  server.on('upgrade', (incoming, socket, head) => gateway.onUpgrade(incoming, socket, head));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const answering: unknown = Reflect.get(socket, '_httpMessage');
    const begun = answering instanceof ClientAnswer && answering.headersSent;
    // An answer that has begun is cut off rather than followed by another that would look like a part of it.
    if (begun || !(socket as Socket).writable || error.code === 'ECONNRESET') return void socket.destroy();
    socket.end(malformedAnswer(error.code, uuid7(Date.now())));
  });
  // Expectations that nobody knows may be passed over (RFC 9110, 10.1.1).
  server.on('checkExpectation', gateway.onRequest);
  server.on('connect', (_, socket) => {
    socket.on('error', () => {}); // the client is gone: there is nobody to answer
    socket.end(malformedAnswer('CONNECT', uuid7(Date.now())));
  });
  // With this Node begins to watch over connections: it enforces the timeouts above, and knows which are idle.
  server.emit('listening');
  return {
    accept(socket) {
      if (socket === null) return noteClosed();
      // A client that has sent all it will may yet read.
      socket.allowHalfOpen = true;
      sockets.add(socket);
      gateway.crowd.connections++;
      socket.once('close', () => {
        sockets.delete(socket);
        gateway.crowd.connections--;
        noteClosed();
        if (sockets.size === 0) onLast?.();
      });
      server.emit('connection', socket);
    },
    close: () =>
      new Promise((resolve) => {
        onLast = resolve;
        server.close();
        server.closeIdleConnections();
        if (sockets.size === 0) resolve();
      }),
    closeAll: () => server.closeAllConnections(),
    flushed: () => [...sockets].every((socket) => socket.writableLength === 0),
  };
}

/** What Node's parser rejects never becomes a request; it gets the contract's error all the same. */
function malformedAnswer(code: string | undefined, requestId: string): string {
  const error =
    code === 'HPE_HEADER_OVERFLOW'
      ? new HearthError('TOO_LARGE', `The request's head is larger than ${MAX_HEAD_BYTES} bytes.`)
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
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
