/** A WebSocket (or any upgrade) to a function: the handshake goes to the process, then bytes flow both ways. */

import { request as httpRequest, type IncomingMessage, STATUS_CODES } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { HearthError } from '../errors.js';
import type { ExecutionStatus } from '../store/types.js';
import type { Denial } from '../supervisor/protocol.js';
import type { CallContext } from './call.js';
import { type CallDescription, executionOf } from './call_description.js';
import { noteEnd, noteRefused } from './call_notes.js';
import { noteAsked, noteGranted } from './call_times.js';
import {
  functionFailed,
  functionTimedOut,
  isUnreached,
  MAX_ATTEMPTS,
  MAX_ERROR_BYTES,
  processEnded,
  readThrown,
  type Thrown,
  VERDICT_MS,
} from './failures.js';
import type { Slot } from './leases.js';
import { type AnswerIds, errorBody } from './respond.js';

export interface UpgradeRequest extends CallDescription {
  rawHeaders: string[];
  socket: Duplex;
  /** What the client sent right behind its handshake. */
  head: Buffer;
}

/** Takes a slot for as long as the connection lives. */
export function startUpgrade(context: CallContext, request: UpgradeRequest): void {
  const { fn, socket, times, trace } = request;
  const startedAt = context.now();
  const start = performance.now();
  const writtenBefore = bytesWritten(socket);
  let attempts = 0;
  let over = false;
  let slot: Slot | null = null;
  let secretsOf: number | null = null;
  let cold = false;
  let cpuMs: number | null = null;
  let statusCode: number | null = null;
  let upgraded = false;
  let closeUpstream = () => {};
  let cancel = () => {};
  let timer: NodeJS.Timeout | undefined;
  let stopAsking = () => {};
  const running = {
    seat: -1,
    place: () => (slot === null ? null : { process: slot.lease.address.process, since: startedAt }),
    checkDeadline: () => {},
    cutOff: () =>
      fail('cancelled', new HearthError('UNAVAILABLE', 'The node is stopping.', { retryAfter: 1 }), null),
  };
  // A connection that breaks ends with 'close'; what broke it does not matter.
  socket.on('error', () => socket.destroy());
  socket.once('close', () => {
    cancel();
    if (slot === null) return;
    if (upgraded) end('success', null, null);
    else end('cancelled', 'The client went away before the answer was complete.', null);
  });

  begin();

  function begin() {
    attempts++;
    const free = context.leases.take(fn.id, fn.version);
    if (free !== null) return open(free);
    if (times !== null) noteAsked(times, performance.now());
    const waiting = context.leases.wait(fn.id, { onSlot: open, onDenied });
    cancel = () => context.leases.cancel(waiting);
  }

  function open(granted: Slot) {
    cancel = () => {};
    if (socket.destroyed) return context.leases.free(granted, true);
    slot = granted;
    const { address } = granted.lease;
    secretsOf = address.secrets ? address.process : null;
    cold ||= granted.cold;
    if (times !== null) noteGranted(times, performance.now(), granted.cold ? granted.lease : null);
    context.running.add(running);
    const { loading } = granted.lease;
    if (loading === null) connect(granted);
    else loading.add({ onLoaded: () => onLoaded(granted), onLoadFailed });
  }

  function onLoaded(granted: Slot) {
    if (times !== null) times.loaded = performance.now();
    connect(granted);
  }

  function connect(granted: Slot) {
    if (over) return;
    const { address, channel } = granted.lease;
    channel.openHttp();
    clearTimeout(timer);
    timer = setTimeout(overdue, fn.timeout_seconds * 1000);
    const upstream = httpRequest({
      socketPath: address.sockets.http,
      path: request.url,
      headers: handshake(request),
      agent: false,
    });
    closeUpstream = () => upstream.destroy();
    upstream.on('upgrade', onUpgrade);
    upstream.on('response', onRefusal);
    upstream.on('error', onBroken);
    upstream.end();
  }

  function onLoadFailed(denial: Denial | null) {
    if (over || slot === null) return;
    context.leases.free(slot, true);
    slot = null;
    if (denial !== null) onDenied(denial);
    else if (attempts < MAX_ATTEMPTS) begin();
    else crashed('crash');
  }

  function onUpgrade(answer: IncomingMessage, upstream: Duplex, head: Buffer) {
    closeUpstream = () => upstream.destroy();
    if (over) return upstream.destroy();
    upgraded = true;
    statusCode = 101;
    readMark(answer);
    socket.write(answerHead(request, answer));
    if (head.length > 0) socket.write(head);
    if (request.head.length > 0) upstream.write(request.head);
    upstream.on('error', () => end('error', 'The process ended while the connection was open.', null));
    upstream.once('close', () => end('success', null, null));
    socket.pipe(upstream);
    upstream.pipe(socket);
  }

  /** The function answered like any other call: that is what the client gets, and the end of the connection. */
  function onRefusal(answer: IncomingMessage) {
    if (over) return;
    statusCode = answer.statusCode ?? 502;
    const failed = readMark(answer) === 'e';
    answer.on('error', () => end('error', 'The answer broke off.', null));
    if (failed) return readError(answer);
    socket.write(answerHead(request, answer, 'connection: close'));
    answer.pipe(socket);
    answer.once('end', () => finished('success', null, null));
  }

  function readError(answer: IncomingMessage) {
    const chunks: Buffer[] = [];
    let bytes = 0;
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MAX_ERROR_BYTES) chunks.push(chunk);
    });
    answer.once('end', () => {
      fail('error', functionFailed(fn), readThrown(Buffer.concat(chunks)));
    });
  }

  /** The process is ending before it has answered: the supervisor will say why. */
  function onBroken(error: NodeJS.ErrnoException) {
    if (over || statusCode !== null) return end('error', 'The process ended.', null);
    if (slot !== null && isUnreached(error) && attempts < MAX_ATTEMPTS) {
      context.leases.lost(slot);
      slot = null;
      return begin();
    }
    const verdict = setTimeout(() => crashed('crash'), VERDICT_MS);
    const forget = context.leases.whyGone(slot?.lease.address.process ?? 0, crashed);
    stopAsking = () => {
      clearTimeout(verdict);
      forget();
    };
    if (over) stopAsking();
  }

  function crashed(reason: string) {
    fail('error', processEnded(fn, reason), null);
  }

  function overdue() {
    if (upgraded) {
      return end(
        'timeout',
        `The connection was open for ${fn.timeout_seconds} s, the function's limit.`,
        null,
      );
    }
    if (slot !== null) context.overdue(slot.lease.address.process);
    fail('timeout', functionTimedOut(fn), null);
  }

  function onDenied(denial: Denial) {
    cancel = () => {};
    const error = new HearthError(
      denial.code,
      denial.message,
      denial.retryAfter === undefined ? {} : { retryAfter: denial.retryAfter },
    );
    if (denial.thrown === undefined && denial.code !== 'FUNCTION_TIMEOUT') {
      over = true;
      if (error.status >= 500) context.failed(request, error);
      if (trace !== null) noteRefused(trace.noted, request, denial.code);
      request.series.refused(denial.code);
      return refuse(socket, error, { requestId: request.requestId });
    }
    // The module failed to load: that is an execution, and what it threw belongs to its author.
    cold = true;
    fail(denial.code === 'FUNCTION_TIMEOUT' ? 'timeout' : 'error', error, denial.thrown ?? null);
  }

  /** Answers with the error, where no answer has begun. */
  function fail(status: ExecutionStatus, error: HearthError, thrown: Thrown | null) {
    if (over) return;
    if (trace !== null) trace.noted.code = error.code;
    if (!upgraded && socket.writable) {
      statusCode = error.status;
      refuse(socket, error, { requestId: request.requestId, executionId: request.executionId });
      finished(status, thrown?.message ?? error.message, thrown?.stack ?? null);
    } else end(status, thrown?.message ?? error.message, thrown?.stack ?? null);
  }

  function end(status: ExecutionStatus, message: string | null, stack: string | null) {
    if (over) return;
    socket.destroy();
    finished(status, message, stack);
  }

  function finished(status: ExecutionStatus, message: string | null, stack: string | null) {
    if (over) return;
    over = true;
    clearTimeout(timer);
    stopAsking();
    closeUpstream();
    context.running.delete(running);
    const version = slot?.lease.address.version ?? fn.version;
    // The connection was the upgrade's own; the slot's HTTP connection was not used.
    if (slot !== null) context.leases.free(slot, true);
    const duration = performance.now() - start;
    request.series.finished(status, cold, duration / 1000, bytesWritten(socket) - writtenBefore, 0, trace);
    const execution = executionOf(request, {
      version,
      status,
      statusCode,
      startedAt,
      duration,
      cpuMs,
      cold,
      result: null,
      errorMessage: message,
      errorStack: stack,
    });
    if (trace !== null) noteEnd(trace.noted, request, execution, secretsOf === null, start + duration);
    context.notes.handOver({ execution, secretsOf, complete: false });
  }

  /** The runner's own word about the answer: its kind, and the CPU time of the call. */
  function readMark(answer: IncomingMessage): string {
    const mark = answer.headers['x-hearth'];
    const token = slot?.lease.address.token ?? '';
    if (typeof mark !== 'string' || !mark.startsWith(token)) return '';
    cpuMs = Math.max(0, Number(mark.slice(token.length + 1)) / 1000 || 0);
    return mark.charAt(token.length);
  }
}

/** What has been sent to the client on this connection, its earlier answers included. */
function bytesWritten(socket: Duplex): number {
  return socket instanceof Socket ? socket.bytesWritten : 0;
}

startUpgrade.refuse = (socket: Duplex, error: HearthError, requestId: string) =>
  refuse(socket, error, { requestId });

/** The contract's error on a connection that was to be upgraded. */
function refuse(socket: Duplex, error: HearthError, ids: AnswerIds): void {
  const body = errorBody(error, ids);
  let fields = error.retryAfter === undefined ? '' : `retry-after: ${error.retryAfter}\r\n`;
  for (let index = 0; index + 1 < (error.fields?.length ?? 0); index += 2)
    fields += `${error.fields?.[index]}: ${error.fields?.[index + 1]}\r\n`;
  const execution = ids.executionId === undefined ? '' : `x-execution-id: ${ids.executionId}\r\n`;
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\ncontent-type: application/json\r\n${fields}` +
      `x-request-id: ${ids.requestId}\r\n${execution}content-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  );
}

/** Our headers with the client's own Upgrade and Connection: name, value, name, value … */
function handshake(request: UpgradeRequest): string[] {
  const headers: string[] = [];
  for (let index = 0; index + 1 < request.headers.length; index += 2) {
    const name = request.headers[index] ?? '';
    const value = request.headers[index + 1] ?? '';
    // Deno looks for ", " between subprotocols, though the space is the sender's choice (RFC 9110, 5.6.1).
    headers.push(name, name === 'sec-websocket-protocol' ? value.split(/[ \t]*,[ \t]*/).join(', ') : value);
  }
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index] ?? '';
    if (/^(upgrade|connection)$/i.test(name)) headers.push(name, request.rawHeaders[index + 1] ?? '');
  }
  return headers;
}

/** The head of the function's answer with the platform's ids in it, and without what belongs to the inner connection. */
function answerHead(request: UpgradeRequest, answer: IncomingMessage, ...more: string[]): Buffer {
  const status = answer.statusCode ?? 502;
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...more];
  for (let index = 0; index + 1 < request.answerHeaders.length; index += 2)
    lines.push(`${request.answerHeaders[index]}: ${request.answerHeaders[index + 1]}`);
  for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2) {
    const name = answer.rawHeaders[index] ?? '';
    if (
      /^(x-hearth.*|x-request-id|x-execution-id|keep-alive|transfer-encoding|trailer|te|proxy-\w+)$/i.test(
        name,
      )
    )
      continue;
    if (status !== 101 && /^connection$/i.test(name)) continue;
    lines.push(`${name}: ${answer.rawHeaders[index + 1]}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}
