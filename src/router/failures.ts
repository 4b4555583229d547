/** What can go wrong with a call once it is with its process, as errors for the caller and facts for its execution. */
import { HearthError } from '../errors.js';
import type { FunctionMeta } from '../store/types.js';

/** What a function threw, as its process tells it. */
export interface Thrown {
  name: string;
  message: string;
  stack: string | null;
}

/** ms to wait for the supervisor to say why a process ended. */
export const VERDICT_MS = 2_000;
/** Processes that a call is offered to as long as none has seen it. */
export const MAX_ATTEMPTS = 3;
/** Bytes of a function's error that are read. */
export const MAX_ERROR_BYTES = 256 * 1024;

/**
 * Errors of a connection that say that the process did not read the request. A Unix socket answers ECONNRESET when its
 * peer closed it with bytes unread, and an orderly end when it had read them all (unix(7), Linux).
 */
const UNREACHED = new Set(['ECONNREFUSED', 'ENOENT', 'EPIPE', 'ECONNRESET']);

export function isUnreached(error: NodeJS.ErrnoException): boolean {
  return UNREACHED.has(error.code ?? '');
}

export function requestTooLarge(bytes: number): HearthError {
  return new HearthError('TOO_LARGE', `The request's body is larger than ${bytes} bytes.`);
}

export function functionFailed(fn: FunctionMeta): HearthError {
  return new HearthError(
    'FUNCTION_ERROR',
    `The function ${fn.name} failed. Its log and its execution say why.`,
  );
}

export function functionTimedOut(fn: FunctionMeta): HearthError {
  return new HearthError(
    'FUNCTION_TIMEOUT',
    `The function ${fn.name} did not finish within ${fn.timeout_seconds} s.`,
  );
}

const WHY: Record<string, string> = {
  timeout: ', because another call on it went over its time',
  cpu: ', because its calls used more CPU time than they may',
  forbidden: ', because it asked the system for what no function may do, such as opening a port',
  background: ', because it went on working after its calls',
};

/** `reason`: why the process ended, in the supervisor's words. */
export function processEnded(fn: FunctionMeta, reason: string): HearthError {
  if (reason === 'memory') {
    const limit = `its memory limit of ${fn.memory_limit_mb} MiB`;
    return new HearthError('MEMORY_LIMIT', `The function ${fn.name} went over ${limit}.`);
  }
  const why = WHY[reason] ?? '';
  return new HearthError(
    'FUNCTION_CRASHED',
    `The process of the function ${fn.name} ended before it had answered${why}.`,
  );
}

/** The body of the runner's error answer. */
export function readThrown(body: Buffer): Thrown {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    if (typeof value === 'object' && value !== null && 'message' in value) {
      const stack = 'stack' in value && typeof value.stack === 'string' ? value.stack : null;
      return { name: 'Error', message: String(value.message), stack };
    }
  } catch {
    // Cut off at MAX_ERROR_BYTES: what it says is then left out.
  }
  return { name: 'Error', message: 'The function failed with an error too large to keep.', stack: null };
}
