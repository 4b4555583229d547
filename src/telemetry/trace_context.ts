/** W3C Trace Context, level 1: what a request tells of the trace that it belongs to, and what is told on. */

export interface ParentContext {
  /** 32 hexadecimal digits, in lower case. */
  traceId: string;
  /** 16 hexadecimal digits, in lower case. */
  spanId: string;
  sampled: boolean;
}

const TRACEPARENT =
  /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Null where it is not valid, which begins a new trace. Later versions are read as this one (W3C, 4.3). */
export function readTraceparent(text: string): ParentContext | null {
  const match = TRACEPARENT.exec(text);
  if (match === null) return null;
  const [, version, traceId = '', spanId = '', flags = '', more] = match;
  if (version === '00' && more !== undefined) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function writeTraceparent(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** Members that a `tracestate` may have, and characters that are passed on (W3C, 3.3.1). */
const MAX_MEMBERS = 32;
const MAX_CHARACTERS = 512;
const MEMBER = /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}$/;

/**
 * The `tracestate` to pass on; empty where there is none, or where it is not valid. A long one loses members of more
 * than 128 characters first, and then those at its end (W3C, 3.3.1.5).
 */
export function boundTracestate(text: string): string {
  const members = text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
  if (members.length > MAX_MEMBERS || !members.every((member) => MEMBER.test(member))) return '';
  let kept = members;
  if (kept.join().length > MAX_CHARACTERS) kept = members.filter((member) => member.length <= 128);
  while (kept.join().length > MAX_CHARACTERS) kept = kept.slice(0, -1);
  return kept.join();
}
