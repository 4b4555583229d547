/** The one error type of Hearth: a code of the contract, its HTTP status and a sentence for a person. */

/** Every code that a caller can see, with the HTTP status that it is answered with (docs/errors.md). */
export const ERROR_STATUS = {
  INVALID_REQUEST: 400,
  INVALID_FUNCTION: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  FUNCTION_DISABLED: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  TOO_LARGE: 413,
  RATE_LIMITED: 429,
  QUOTA_EXCEEDED: 429,
  FUNCTION_ERROR: 500,
  INTERNAL: 500,
  FUNCTION_CRASHED: 502,
  MEMORY_LIMIT: 502,
  OVERLOADED: 503,
  UNAVAILABLE: 503,
  FUNCTION_TIMEOUT: 504,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** What is wrong with one field of a request, or at one place in a function's code. */
export interface ErrorDetail {
  /** The field's path, such as `timeout_seconds` or `routes.0`; `code` for a place in the code. */
  field: string;
  message: string;
  /** 1-based, in the code as it was sent. */
  line?: number;
  /** 1-based, in the code as it was sent. */
  column?: number;
}

export interface ErrorOptions {
  details?: ErrorDetail[];
  /** Seconds, whole, at least 1: becomes `Retry-After`. */
  retryAfter?: number;
  /** Header fields of the answer: names and values by turns. */
  fields?: readonly string[];
  cause?: unknown;
}

/** An error that is meant for the caller. Anything else that is thrown is a defect and answers 500 INTERNAL. */
export class HearthError extends Error {
  override readonly name = 'HearthError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: ErrorDetail[] | undefined;
  readonly retryAfter: number | undefined;
  readonly fields: readonly string[] | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = ERROR_STATUS[code];
    this.details = options.details;
    this.retryAfter = options.retryAfter;
    this.fields = options.fields;
  }
}

/** A setting, port, directory or database that keeps the node from starting: one line, exit status 2. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/** The message of whatever was thrown: functions may throw anything. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  try {
    return String(thrown);
  } catch {
    return 'a value that cannot be shown';
  }
}
