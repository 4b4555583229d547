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
/** Bytes of bodies that are on their way to the database at once; of one tenant, so that it does not keep others out. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
const MAX_HELD_BYTES_OF_TENANT = MAX_HELD_BYTES / 4;
const NONE = Buffer.alloc(0);

export function createAsyncCalls({ take, maxBytes, onTaken, now }: AsyncCallsOptions): AsyncCalls {
  const limit = Math.min(maxBytes, MAX_ASYNC_BYTES);
  const bodies = createHeldBytes();

  /** Null: the client went away. `ms`: as long as it may take; `hold`: whether there is room for so many bytes more. */
  function readBody(
    incoming: IncomingMessage,
    length: number | undefined,
    ms: number,
    hold: (bytes: number) => boolean,
  ): Promise<Buffer | null> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const stop = () => {
        clearTimeout(timer);
        incoming.off('data', onData).off('end', onEnd).off('close', onClose);
      };
      const refuse = (error: HearthError) => {
        stop();
        // What is left is read and dropped, so that the client sees the answer.
        incoming.resume();
        reject(error);
      };
      const onData = (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > limit) return refuse(requestTooLarge(limit));
        if (!hold(chunk.length))
          return refuse(
            new HearthError('OVERLOADED', 'Too many asynchronous calls come at once.', { retryAfter: 1 }),
          );
        chunks.push(chunk);
      };
      const onEnd = () => {
        stop();
        resolve(Buffer.concat(chunks));
      };
      const onClose = () => {
        stop();
        resolve(null);
      };
      const timer = setTimeout(
        () => refuse(new HearthError('INVALID_REQUEST', "The request's body did not arrive in time.")),
        ms,
      );
      if ((length ?? 0) > limit) return refuse(requestTooLarge(limit));
      if (incoming.destroyed) return onClose();
      incoming.on('data', onData).on('end', onEnd).on('close', onClose);
    });
  }

  return {
    async take(incoming, outgoing, { headers, called, principal, executionId, requestId, answerHeaders }) {
      const { entry, tenant, path } = called;
      const held = bodies.of(tenant);
      /** Null: the client is gone. */
      const taken = async () => {
        const ms = entry.meta.timeout_seconds * 1000;
        const body = headers.hasBody ? await readBody(incoming, headers.length, ms, held.hold) : NONE;
        if (body === null || outgoing.destroyed) return null;
        return await take({
          id: executionId,
          tenant,
          functionId: entry.meta.id,
          at: new Date(now()),
          requestId,
          request: requestOf(incoming, headers, called, principal, body),
        }).catch((error: unknown) => {
          if (!isDatabaseAway(error)) throw error;
          const message = 'The database is away: nothing is taken that would have to wait.';
          throw new HearthError('UNAVAILABLE', message, { retryAfter: 2, cause: error });
        });
      };
      const result = await taken().finally(held.release);
      if (result === null) return;
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

interface HeldBytes {
  /** @returns whether there is room for so many bytes more; they are held. */
  hold(bytes: number): boolean;
  /** All of them. */
  release(): void;
}

/** Counts the bytes that are in memory, of all and of each tenant that has some. */
function createHeldBytes() {
  let total = 0;
  const tenants = new Map<string, number>();
  return {
    of(tenant: string): HeldBytes {
      let own = 0;
      const add = (bytes: number) => {
        own += bytes;
        total += bytes;
        const theirs = (tenants.get(tenant) ?? 0) + bytes;
        if (theirs === 0) tenants.delete(tenant);
        else tenants.set(tenant, theirs);
      };
      return {
        hold(bytes) {
          if (total + bytes > MAX_HELD_BYTES) return false;
          if ((tenants.get(tenant) ?? 0) + bytes > MAX_HELD_BYTES_OF_TENANT) return false;
          add(bytes);
          return true;
        },
        release: () => add(-own),
      };
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
