/** The one place where an error becomes an HTTP answer. */
import type { ServerResponse } from 'node:http';
import { type ErrorCode, HearthError } from '../errors.js';
import { ClientAnswer } from './client_answer.js';

export interface AnswerIds {
  requestId: string;
  executionId?: string;
}

/** What is thrown and is not meant for callers becomes INTERNAL, without its text. */
export function toHearthError(thrown: unknown): HearthError {
  if (thrown instanceof HearthError) return thrown;
  return new HearthError('INTERNAL', 'Something went wrong inside the platform. The log has the details.', {
    cause: thrown,
  });
}

/** The contract's error body as JSON. */
export function errorBody(error: HearthError, ids: AnswerIds): string {
  return JSON.stringify({
    error: error.message,
    code: error.code,
    request_id: ids.requestId,
    ...(ids.executionId === undefined ? {} : { execution_id: ids.executionId }),
    ...(error.details === undefined ? {} : { details: error.details }),
  });
}

/** Remembers with an answer that it is the platform's error, for whoever counts answers. */
export function noteError(outgoing: ServerResponse, code: ErrorCode): void {
  if (outgoing instanceof ClientAnswer) outgoing.code = code;
}

/** Answers with the contract's error, or cuts the connection where an answer has begun. */
export function answerError(
  outgoing: ServerResponse,
  error: HearthError,
  ids: AnswerIds,
  extra: readonly string[] = [],
): void {
  noteError(outgoing, error.code);
  if (outgoing.headersSent) {
    outgoing.destroy();
    return;
  }
  const body = errorBody(error, ids);
  const headers = ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))];
  headers.push('x-request-id', ids.requestId);
  if (ids.executionId !== undefined) headers.push('x-execution-id', ids.executionId);
  if (error.retryAfter !== undefined) headers.push('retry-after', String(error.retryAfter));
  if (error.code === 'UNAUTHENTICATED') headers.push('www-authenticate', 'Bearer realm="hearth"');
  if (error.fields !== undefined) headers.push(...error.fields);
  headers.push(...extra);
  outgoing.writeHead(error.status, headers);
  outgoing.end(body);
}
