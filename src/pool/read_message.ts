/** Reads what a process says: it runs code that nobody trusts, so everything is looked at. */
import { RUNNER_CACHE_FILES } from './deno_dir.js';
import { type FromRunner, type FunctionSpan, SPAN_LIMITS, type TraceOrigin } from './messages.js';

const LEVELS: readonly unknown[] = ['debug', 'info', 'log', 'warn', 'error'];

/** Null when it is none of its messages. */
export function readMessage(text: string): FromRunner | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return isMessage(value) ? value : null;
}

function isMessage(value: unknown): value is FromRunner {
  if (!isObject(value)) return false;
  switch (value.t) {
    case 'ready':
      return true;
    case 'claimed':
      return isAmount(value.envMs) && isAmount(value.importMs);
    case 'failed':
      return isThrown(value.error);
    case 'pong':
      return isAmount(value.n);
    case 'log':
      return (
        (value.id === null || isId(value.id)) &&
        isLine(value.line) &&
        (value.in === undefined || isLogOrigin(value.in))
      );
    case 'span':
      return isId(value.id) && isTraceOrigin(value.of) && isSpan(value.span);
    case 'end':
      return isId(value.id) && (value.cpuUs === -1 || isAmount(value.cpuUs));
    case 'hold':
      return typeof value.on === 'boolean';
    case 'v8':
      return typeof value.data === 'string';
    case 'own-cache':
      return isList(value.data, RUNNER_CACHE_FILES.length, (item) => typeof item === 'string');
    default:
      return false;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

function isId(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 64;
}

function isThrown(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { name, message, stack } = value;
  return (
    typeof name === 'string' && typeof message === 'string' && (stack === null || typeof stack === 'string')
  );
}

function isLogOrigin(value: unknown): boolean {
  return isObject(value) && isTraceOrigin(value.of) && isSpanId(value.span);
}

function isLine(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [time, level, text]: unknown[] = value;
  // What Date takes (ECMAScript, 21.4.1.1).
  const isTime = isAmount(time) && (time as number) <= 8.64e15;
  return isTime && LEVELS.includes(level) && typeof text === 'string';
}

function isSpan(value: unknown): value is FunctionSpan {
  if (typeof value !== 'object' || value === null) return false;
  const { id, parent, name, kind, start, end, status, attributes, events, scope } = value as Record<
    string,
    unknown
  >;
  return (
    isSpanId(id) &&
    isSpanId(parent) &&
    isText(name, SPAN_LIMITS.name) &&
    isOneOf(kind, 4) &&
    isTime(start) &&
    isTime(end) &&
    isTuple(status, 2) &&
    isOneOf(status[0], 2) &&
    isText(status[1], SPAN_LIMITS.text) &&
    isPairs(attributes) &&
    isList(events, SPAN_LIMITS.events, isEvent) &&
    isTuple(scope, 2) &&
    isText(scope[0], SPAN_LIMITS.name) &&
    isText(scope[1], SPAN_LIMITS.name)
  );
}

function isTraceOrigin(value: unknown): value is TraceOrigin {
  return isTuple(value, 2) && isHex(value[0], 32) && isSpanId(value[1]);
}

function isSpanId(value: unknown): value is string {
  return isHex(value, 16);
}

function isEvent(value: unknown): boolean {
  return isTuple(value, 3) && isText(value[0], SPAN_LIMITS.name) && isTime(value[1]) && isPairs(value[2]);
}

function isPairs(value: unknown): boolean {
  return isList(value, SPAN_LIMITS.attributes, isPair);
}

function isPair(value: unknown): boolean {
  if (!isTuple(value, 2) || !isText(value[0], SPAN_LIMITS.name)) return false;
  return isScalar(value[1]) || isList(value[1], SPAN_LIMITS.items, isScalar);
}

function isScalar(value: unknown): boolean {
  return typeof value === 'boolean' || Number.isFinite(value) || isText(value, SPAN_LIMITS.text);
}

function isHex(value: unknown, length: number): value is string {
  return typeof value === 'string' && value.length === length && /^[0-9a-f]*[1-9a-f][0-9a-f]*$/.test(value);
}

function isText(value: unknown, most: number): boolean {
  return typeof value === 'string' && value.length <= most;
}

function isOneOf(value: unknown, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;
}

/** Unix ms from 0 to the last one that Date takes. */
function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= 8.64e15;
}

function isTuple(value: unknown, length: number): value is unknown[] {
  return Array.isArray(value) && value.length === length;
}

function isList(value: unknown, most: number, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= most && value.every(isItem);
}
