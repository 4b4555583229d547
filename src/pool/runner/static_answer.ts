/**
 * What a `Response` holds when its body is there as a whole, read without touching it: its `body` property would make a
 * stream of it. Deno keeps that under symbols of its own; its version is pinned, and where it keeps things elsewhere
 * every answer counts as a stream, which is slower and no less right.
 */
import { BadAnswer } from './answer.ts';
import { headersForEach, OwnResponse, OwnUint8Array } from './intrinsics.ts';

export interface StaticAnswer {
  status: number;
  /** Names and values in turn, joined by line feeds. */
  head: string;
  body: string | Uint8Array | null;
}

interface InnerBody {
  streamOrStatic?: { body?: unknown; consumed?: unknown };
}

const named = new Map(
  Object.getOwnPropertySymbols(new OwnResponse('')).map((symbol) => [symbol.description ?? '', symbol]),
);
const INNER = named.get('response');
const LAZY_BODY = named.get('lazy static body');
const LAZY_TYPE = named.get('lazy static content type');
const FAST_STATUS = named.get('serve fast status');
const FAST_BODY = named.get('serve fast body');
/** Whether a Response that nobody has touched shows its text where it did in the version that this was written for. */
const KNOWS_LAZY = knowsLazy();

const TEXT_HEAD = 'content-type\ntext/plain;charset=UTF-8';

/** Null: it is a stream, or it cannot be told. */
export function readStatic(response: Response): StaticAnswer | null {
  if (KNOWS_LAZY) {
    const body = at(response, LAZY_BODY);
    if (typeof body === 'string' && at(response, FAST_BODY) === body && at(response, FAST_STATUS) === 200) {
      const type = at(response, LAZY_TYPE);
      if (type === null) return { status: 200, head: TEXT_HEAD, body };
      if (typeof type === 'string') return { status: 200, head: `content-type\n${type}`, body };
    }
  }
  const inner =
    INNER === undefined ? undefined : (at(response, INNER) as { body?: InnerBody | null } | undefined);
  if (inner?.body === undefined) return null;
  if (inner.body === null) return { status: response.status, head: headOf(response), body: null };
  const held = inner.body.streamOrStatic;
  if (held === undefined || held.consumed !== false) return null;
  const { body } = held;
  if (typeof body !== 'string' && !(body instanceof OwnUint8Array)) return null;
  return { status: response.status, head: headOf(response), body };
}

/** Characters of names and values that an answer's headers may have. */
const MAX_HEAD = 64 * 1024;

/** @throws BadAnswer when it is too long. */
export function headOf(response: Response): string {
  let head = '';
  headersForEach(response.headers, (value, name) => {
    head += head === '' ? `${name}\n${value}` : `\n${name}\n${value}`;
  });
  if (head.length > MAX_HEAD) throw new BadAnswer(`the answer's headers are longer than ${MAX_HEAD} bytes`);
  return head;
}

function at(response: Response, symbol: symbol | undefined): unknown {
  return symbol === undefined ? undefined : (response as unknown as Record<symbol, unknown>)[symbol];
}

function knowsLazy(): boolean {
  const text = new OwnResponse('probe');
  const json = OwnResponse.json({ probe: 1 });
  const touched = new OwnResponse('probe', { status: 201 });
  return (
    at(text, LAZY_BODY) === 'probe' &&
    at(text, FAST_BODY) === 'probe' &&
    at(text, FAST_STATUS) === 200 &&
    at(text, LAZY_TYPE) === null &&
    at(json, LAZY_TYPE) === 'application/json' &&
    at(touched, LAZY_BODY) === null
  );
}
