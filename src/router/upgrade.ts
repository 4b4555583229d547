/** A WebSocket (or any upgrade) to a function: the handshake goes to the process, then bytes flow both ways. */

import { STATUS_CODES } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { HearthError } from '../errors.js';
import type { Execution, ExecutionStatus } from '../store/types.js';
import type { CallContext, CallDescription } from './call.js';
import type { Slot } from './leases.js';
import { errorBody } from './respond.js';

export interface UpgradeRequest extends CallDescription {
  rawHeaders: string[];
  socket: Duplex;
  /** What the client sent right behind its handshake. */
  head: Buffer;
}

const MAX_HEAD_BYTES = 128 * 1024;

/** Takes a slot for as long as the connection lives. */
export function startUpgrade(context: CallContext, request: UpgradeRequest): void {
  const { fn, socket } = request;
  const startedAt = context.now();
  const start = performance.now();
  let over = false;
  let cancel = () => {};
  // A connection that breaks ends with 'close'; what broke it does not matter.
  socket.on('error', () => socket.destroy());
  const onClose = () => cancel();
  socket.once('close', onClose);

  const slot = context.leases.take(fn.id, fn.version);
  if (slot !== null) return open(slot);
  const waiting = context.leases.wait(fn.id, {
    onSlot: open,
    onDenied(denial) {
      over = true;
      refuse(
        socket,
        new HearthError(
          denial.code,
          denial.message,
          denial.retryAfter === undefined ? {} : { retryAfter: denial.retryAfter },
        ),
        request.requestId,
      );
    },
  });
  cancel = () => context.leases.cancel(waiting);

  function open(slot: Slot) {
    if (over || socket.destroyed) return context.leases.free(slot, true);
    const upstream = connect(slot.lease.address.socketPath);
    const timer = setTimeout(() => {
      end('timeout', `The connection was open for ${fn.timeout_seconds} s, the function's time limit.`);
    }, fn.timeout_seconds * 1000);
    cancel = () => end('success', null);

    function end(status: ExecutionStatus, message: string | null) {
      if (over) return;
      over = true;
      clearTimeout(timer);
      socket.destroy();
      upstream.destroy();
      context.running.delete(running);
      // The connection was the upgrade's own; the slot's HTTP connection was not used.
      context.leases.free(slot, true);
      const duration = performance.now() - start;
      request.series.finished(status, slot.cold, duration / 1000);
      context.notes.toJoin(
        execution(request, {
          status,
          message,
          cold: slot.cold,
          version: slot.lease.address.version,
          startedAt,
          duration,
          statusCode,
        }),
      );
    }
    const running = { checkDeadline: () => {}, cutOff: () => end('cancelled', 'The node is stopping.') };
    context.running.add(running);

    let statusCode: number | null = null;
    upstream.once('connect', () => {
      upstream.write(handshake(request));
      if (request.head.length > 0) upstream.write(request.head);
      socket.pipe(upstream);
    });
    let answerHead = Buffer.alloc(0);
    upstream.on('data', function onHead(chunk: Buffer) {
      answerHead = Buffer.concat([answerHead, chunk]);
      const headEnd = answerHead.indexOf('\r\n\r\n');
      if (headEnd < 0) {
        if (answerHead.length > MAX_HEAD_BYTES) upstream.destroy();
        return;
      }
      upstream.off('data', onHead);
      const lines = answerHead.toString('latin1', 0, headEnd).split('\r\n');
      statusCode = Number(/^HTTP\/1\.1 (\d{3})/.exec(lines[0] ?? '')?.[1] ?? 0) || null;
      // The ids go in behind the status line; the platform's own mark does not leave the node.
      const ids = [`x-request-id: ${request.requestId}`, `x-execution-id: ${request.executionId}`];
      const kept = lines.slice(1).filter((line) => !/^x-hearth/i.test(line));
      socket.write(Buffer.from(`${[lines[0], ...ids, ...kept].join('\r\n')}\r\n\r\n`, 'latin1'));
      const rest = answerHead.subarray(headEnd + 4);
      if (rest.length > 0) socket.write(rest);
      upstream.pipe(socket);
    });
    upstream.on('error', () => {
      if (statusCode === null && !over) {
        refuse(
          socket,
          new HearthError('FUNCTION_CRASHED', `The process of the function ${fn.name} ended.`),
          request.requestId,
        );
      }
      end('error', 'The process ended while the connection was open.');
    });
    upstream.once('close', () => end('success', null));
    socket.once('close', () => end('success', null));
  }
}

startUpgrade.refuse = refuse;

/** The contract's error on a connection that was to be upgraded. */
function refuse(socket: Duplex, error: HearthError, requestId: string): void {
  const body = errorBody(error, { requestId });
  const retry = error.retryAfter === undefined ? '' : `retry-after: ${error.retryAfter}\r\n`;
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\ncontent-type: application/json\r\n${retry}` +
      `x-request-id: ${requestId}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

/** The client's handshake with the absolute URL, its own Upgrade and Connection, and our headers. */
function handshake(request: UpgradeRequest): string {
  const lines = [`GET ${request.url} HTTP/1.1`];
  for (let index = 0; index + 1 < request.headers.length; index += 2)
    lines.push(`${request.headers[index]}: ${request.headers[index + 1]}`);
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2) {
    if (/^(upgrade|connection)$/i.test(request.rawHeaders[index] ?? '')) {
      lines.push(`${request.rawHeaders[index]}: ${request.rawHeaders[index + 1]}`);
    }
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function execution(
  request: UpgradeRequest,
  end: {
    status: ExecutionStatus;
    message: string | null;
    cold: boolean;
    version: number;
    startedAt: number;
    duration: number;
    statusCode: number | null;
  },
): Execution {
  const { fn } = request;
  return {
    id: request.executionId,
    tenant: fn.tenant,
    function_id: fn.id,
    function_name: fn.name,
    version: end.version,
    trigger_type: request.trigger,
    trigger_payload: null,
    status: end.status,
    status_code: end.statusCode,
    duration_ms: end.duration,
    cpu_ms: null,
    cold_start: end.cold,
    result: null,
    logs: null,
    error_message: end.message,
    error_stack: null,
    executed_at: new Date(end.startedAt),
    completed_at: new Date(end.startedAt + end.duration),
    request_id: request.requestId,
  };
}
