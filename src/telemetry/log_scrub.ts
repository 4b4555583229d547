/** Takes out of a record what no log may hold, and makes of it what can be written. */
import type { LogFields } from './logger.js';

/** What a field may not be called to have its value shown. */
const SECRET =
  /authorization|cookie|api[-_]?key|service[-_]?key|admin[-_]?key|token|secret|password|credential/i;
const REDACTED = '[redacted]';
/** Characters of a message or a value that are kept. */
const MAX_TEXT = 4096;
const MAX_STACK = 8 * 1024;
const MAX_FIELDS = 32;

/** The text without credentials: of URLs, of Authorization headers, JSON Web Tokens. */
export function scrub(text: string): string {
  return text
    .slice(0, MAX_TEXT)
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, `$1${REDACTED}@`)
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${REDACTED}`)
    .replace(/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, REDACTED);
}

export function scrubFields(fields: LogFields): LogFields {
  const clean: LogFields = {};
  for (const [name, value] of Object.entries(fields).slice(0, MAX_FIELDS)) {
    if (value === undefined) continue;
    if (name === 'error') clean.error = describeError(value);
    else if (SECRET.test(name)) clean[name] = REDACTED;
    else if (typeof value === 'number' || typeof value === 'boolean' || value === null) clean[name] = value;
    else clean[name] = scrub(String(value));
  }
  return clean;
}

export interface DescribedError {
  type: string;
  message: string;
  stack?: string;
  /** Of the cause, and of its cause. */
  cause?: string;
}

function describeError(thrown: unknown): DescribedError {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: scrub(shown(thrown)) };
  const described: DescribedError = { type: thrown.name, message: scrub(thrown.message) };
  const causes: string[] = [];
  for (let cause = thrown.cause; cause instanceof Error && causes.length < 4; cause = cause.cause)
    causes.push(cause.message || Reflect.get(cause, 'code') || cause.name);
  if (causes.length > 0) described.cause = scrub(causes.join(': '));
  if (thrown.stack !== undefined) described.stack = scrub(thrown.stack.slice(0, MAX_STACK));
  return described;
}

function shown(value: unknown): string {
  try {
    return typeof value === 'object' ? JSON.stringify(value) : String(value);
  } catch {
    return 'a value that cannot be shown';
  }
}
