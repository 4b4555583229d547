/** Questions and answers between a router and the supervisor, over the same IPC as everything else. */

import type { ErrorCode } from '../errors.js';
import { type ErrorDetail, HearthError, messageOf } from '../errors.js';

export interface RequestMessage {
  t: 'request';
  n: number;
  method: string;
  params: unknown;
}

export interface ReplyMessage {
  t: 'reply';
  n: number;
  value?: unknown;
  error?: { code: ErrorCode | null; message: string; details?: ErrorDetail[]; retryAfter?: number };
}

export type Answer = (method: string, params: unknown) => unknown;

export interface Rpc {
  /** Rejects with the other side's error, or after `timeoutMs`. */
  request(method: string, params: unknown, timeoutMs?: number): Promise<unknown>;
  handle(message: RequestMessage | ReplyMessage): void;
  /** The other side is gone: everything that waits for it fails. */
  close(): void;
}

export function createRpc(send: (message: RequestMessage | ReplyMessage) => void, answer: Answer): Rpc {
  const waiting = new Map<number, (reply: ReplyMessage) => void>();
  let last = 0;

  async function respond({ n, method, params }: RequestMessage) {
    try {
      send({ t: 'reply', n, value: await answer(method, params) });
    } catch (error) {
      const known = error instanceof HearthError;
      send({
        t: 'reply',
        n,
        error: {
          code: known ? error.code : null,
          message: messageOf(error),
          ...(known && error.details !== undefined ? { details: error.details } : {}),
          ...(known && error.retryAfter !== undefined ? { retryAfter: error.retryAfter } : {}),
        },
      });
    }
  }

  return {
    request: (method, params, timeoutMs = 10_000) =>
      new Promise((resolve, reject) => {
        const n = ++last;
        const timer = setTimeout(() => {
          waiting.delete(n);
          reject(new Error(`no answer to ${method} within ${timeoutMs} ms`));
        }, timeoutMs);
        waiting.set(n, (reply) => {
          clearTimeout(timer);
          waiting.delete(n);
          if (reply.error === undefined) return resolve(reply.value);
          const { code, message, ...options } = reply.error;
          reject(code === null ? new Error(message) : new HearthError(code, message, options));
        });
        send({ t: 'request', n, method, params });
      }),
    handle(message) {
      if (message.t === 'request') void respond(message);
      else waiting.get(message.n)?.(message);
    },
    close() {
      for (const [n, settle] of waiting)
        settle({ t: 'reply', n, error: { code: null, message: 'the other process is gone' } });
    },
  };
}
