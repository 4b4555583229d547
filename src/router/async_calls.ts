/**
 * Calls that nobody waits for: with `Prefer: respond-async` (RFC 7240, 4.1) the invoke API takes a call as a row, and answers
 * when that is committed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HearthError } from '../errors.js';
import { isDatabaseAway } from '../store/database_errors.js';
import type { EventRequest, Events } from '../store/events.js';
import { writeTraceparent } from '../telemetry/trace_context.js';
import type { Called } from './describe_call.js';
import { requestTooLarge } from './failures.js';
import type { ReadHeaders } from './headers.js';
import type { Principal } from './principal.js';

export interface AsyncCalls {
  /** Answers 202, or rejects with what is to be answered. A client that goes away before its body is complete gets nothing. */
  take(incoming: IncomingMessage, outgoing: ServerResponse, call: AsyncCall): Promise<void>;
}

export interface AsyncCall {
  headers: ReadHeaders;
  called: Called;
  principal: Principal | null;
  /** A UUIDv7. */
  executionId: string;
  requestId: string;
  /** For the answer: name, value, name, value … */
  answerHeaders: readonly string[];
}

export interface AsyncCallsOptions {
  take: Events['take'];
  /** Bytes that a body may have. */
  maxBytes: number;
  /** There is one to be run. */
  onTaken(): void;
  /** Unix ms. */
  now(): number;
}

/** Bytes that a body may have that is kept until its call is made. */
export const MAX_ASYNC_BYTES = 1024 * 1024;
/** Bytes of bodies that are on their way to the database at once. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
const NONE = Buffer.alloc(0);

export function createAsyncCalls({ take, maxBytes, onTaken, now }: AsyncCallsOptions): AsyncCalls {
  const limit = Math.min(maxBytes, MAX_ASYNC_BYTES);
  let held = 0;

  /** Null: the client went away. */
  async function readBody(incoming: IncomingMessage, length: number | undefined): Promise<Buffer | null> {
    if ((length ?? 0) > limit) throw requestTooLarge(limit);
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      // What is left of a body that is too large is read and dropped, so that its client sees the answer.
      for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        held += chunk.length;
        if (bytes > limit) throw requestTooLarge(limit);
        if (held > MAX_HELD_BYTES)
          throw new HearthError('OVERLOADED', 'Too many asynchronous calls come at once.', { retryAfter: 1 });
        chunks.push(chunk);
      }
    } catch (error) {
      if (error instanceof HearthError) throw error;
      return null; // the stream says so when its client is gone
    } finally {
      held -= bytes;
    }
    return incoming.complete ? Buffer.concat(chunks) : null;
  }

  return {
    async take(incoming, outgoing, { headers, called, principal, executionId, requestId, answerHeaders }) {
      const { entry, tenant, path } = called;
      const body = headers.hasBody ? await readBody(incoming, headers.length) : NONE;
      if (body === null || outgoing.destroyed) return;
      held += body.length;
      const result = await take({
        id: executionId,
        tenant,
        functionId: entry.meta.id,
        at: new Date(now()),
        requestId,
        request: requestOf(incoming, headers, called, principal, body),
      })
        .catch((error: unknown) => {
          if (!isDatabaseAway(error)) throw error;
          const message = 'The database is away: nothing is taken that would have to wait.';
          throw new HearthError('UNAVAILABLE', message, { retryAfter: 2, cause: error });
        })
        .finally(() => {
          held -= body.length;
        });
      if (result === 'gone') throw new HearthError('NOT_FOUND', 'There is no such function.');
      if (result === 'full') {
        const message = `As many asynchronous calls of the tenant ${tenant} wait as may.`;
        throw new HearthError('QUOTA_EXCEEDED', message, { retryAfter: 10 });
      }
      onTaken();
      const answer = JSON.stringify({ execution_id: executionId });
      const prefix = path.startsWith('/t/') ? `/t/${tenant}` : '';
      outgoing.writeHead(202, [
        ...['content-type', 'application/json', 'content-length', String(Buffer.byteLength(answer))],
        ...['location', `${prefix}/api/v1/executions/${executionId}`, 'preference-applied', 'respond-async'],
        ...['x-request-id', requestId, 'x-execution-id', executionId, ...answerHeaders],
      ]);
      outgoing.end(answer);
    },
  };
}

/** Whether one of the preferences is `respond-async`; what else it may say of it does not matter. */
export function prefersAsync(forwarded: readonly string[]): boolean {
  for (let index = 0; index + 1 < forwarded.length; index += 2) {
    if (forwarded[index] !== 'prefer') continue;
    const preferences = (forwarded[index + 1] ?? '').split(',');
    if (preferences.some((each) => /^\s*respond-async\s*(?:[;=]|$)/i.test(each))) return true;
  }
  return false;
}

/** Neither is for the function: what is kept has a length of its own, and the preference was met. */
const LEFT_OUT = new Set(['content-length', 'prefer']);
/** The platform's own key is nothing for a tenant's code, nor for the database. */
const CREDENTIALS = new Set(['authorization', 'apikey', 'x-api-key', 'x-service-key']);

function requestOf(
  incoming: IncomingMessage,
  read: ReadHeaders,
  { path, trace }: Called,
  principal: Principal | null,
  body: Buffer,
): EventRequest {
  const headers: string[] = [];
  const isAdmin = principal?.role === 'admin';
  for (let index = 0; index + 1 < read.forwarded.length; index += 2) {
    const [name = '', value = ''] = read.forwarded.slice(index, index + 2);
    if (!LEFT_OUT.has(name) && !(isAdmin && CREDENTIALS.has(name))) headers.push(name, value);
  }
  if (read.hasBody) headers.push('content-length', String(body.length));
  // The trace of the run goes on from this request's.
  const traceparent =
    trace === null ? read.traceparent : writeTraceparent(trace.traceId, trace.noted.serverSpanId, true);
  for (const [name, value] of [
    ['host', read.host],
    ['x-forwarded-for', read.forwardedFor],
    ['x-forwarded-proto', read.forwardedProto],
    ['traceparent', traceparent],
    ['tracestate', read.tracestate],
  ] as const)
    if (value !== undefined) headers.push(name, value);
  return {
    method: incoming.method ?? 'POST',
    path,
    headers,
    body,
    caller: principal === null ? null : callerOf(principal),
    address: incoming.socket.remoteAddress ?? '',
  };
}

function callerOf({ role, userId, userEmail }: Principal): EventRequest['caller'] {
  return {
    role,
    ...(userId === undefined ? {} : { userId }),
    ...(userEmail === undefined ? {} : { userEmail }),
  };
}
