/**
 * Finds secrets in a text and puts `[redacted]` in their place, in time that grows with the text alone: an Aho–Corasick
 * automaton (Aho and Corasick, "Efficient string matching", 1975) over bytes of UTF-8.
 *
 * White space counts for nothing, in the secrets and in the text: so a value is found that was printed in several
 * arguments, or was broken into lines.
 */

/** Gives the text without the secrets; the very same text where there are none in it. */
export type Redact = (text: string) => string;

export const REDACTED = '[redacted]';

/** Bytes, white space left aside, that a secret has to have: a shorter one would be found all over any text. */
export const SHORTEST = 6;
/** Bytes of a longer secret's beginning that count as one by themselves. */
const LONG_PART = 256;

/** @param patterns those that are shorter than SHORTEST are left out. */
export function createRedactor(patterns: Iterable<string>): Redact {
  const found = [...patterns].map(toBytes).filter((bytes) => bytes.length >= SHORTEST);
  if (found.length === 0) return (text) => text;
  const { root, next, fail, depth, longest } = createAutomaton(found);

  return (text) => {
    const bytes = Buffer.from(text);
    /** Where each byte that is no white space lies. */
    const places = new Uint32Array(bytes.length);
    const covered: Span[] = [];
    let count = 0;
    let state = 0;
    const cover = (length: number) => {
      if (length > 0) add(covered, places[count - length] ?? 0, (places[count - 1] ?? 0) + 1);
    };
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (isSpace(byte)) continue;
      // A text that was cut ends in the middle of a secret, or goes on with an ellipsis there, or with half a character.
      if (byte >= 0xe2 && depthOf(state) >= SHORTEST && isCut(bytes, at)) cover(depthOf(state));
      for (;;) {
        const following = state === 0 ? (root[byte] ?? 0) : next(state, byte);
        if (following !== 0 || state === 0) {
          state = following;
          break;
        }
        if (depthOf(state) >= LONG_PART) cover(depthOf(state));
        state = fail[state] ?? 0;
      }
      places[count++] = at;
      cover(longest[state] ?? 0);
    }
    if (depthOf(state) >= SHORTEST) cover(depthOf(state));
    return covered.length === 0 ? text : without(bytes, covered);
  };

  function depthOf(state: number): number {
    return depth[state] ?? 0;
  }
}

/** From the first byte to the one after the last. */
type Span = [from: number, to: number];

/** Spans end in order; those that overlap become one. */
function add(spans: Span[], from: number, to: number): void {
  let begin = from;
  for (let last = spans.at(-1); last !== undefined && last[1] > begin; last = spans.at(-1)) {
    begin = Math.min(begin, last[0]);
    spans.pop();
  }
  spans.push([begin, to]);
}

function without(bytes: Buffer, spans: readonly Span[]): string {
  let text = '';
  let kept = 0;
  for (const [from, to] of spans) {
    text += bytes.toString('utf8', kept, from) + REDACTED;
    kept = to;
  }
  return text + bytes.toString('utf8', kept);
}

/** Whether an ellipsis or U+FFFD is here: what the platform writes where it has cut a text. */
function isCut(bytes: Buffer, at: number): boolean {
  const [first, second, third] = [bytes[at], bytes[at + 1], bytes[at + 2]];
  return (
    (first === 0xe2 && second === 0x80 && third === 0xa6) ||
    (first === 0xef && second === 0xbf && third === 0xbd)
  );
}

/** Space, tab and the ends of lines (ASCII). */
function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function toBytes(text: string): Buffer {
  return Buffer.from(text).filter((byte) => !isSpace(byte)) as Buffer;
}

interface Automaton {
  /** The first steps, by byte. */
  root: Int32Array;
  /** 0: there is none. */
  next(state: number, byte: number): number;
  /** State → that of the longest proper suffix of it that a pattern begins with. */
  fail: Int32Array;
  /** State → bytes of the pattern so far. */
  depth: Int32Array;
  /** State → bytes of the longest pattern that ends there; 0: none does. */
  longest: Int32Array;
}

/** States are numbered from 1; their steps lie in one open hash table, so that a byte of a pattern takes 24 bytes or so. */
function createAutomaton(patterns: readonly Buffer[]): Automaton {
  const most = patterns.reduce((sum, { length }) => sum + length, 1);
  const bits = Math.max(4, 32 - Math.clz32(most * 2));
  const mask = 2 ** bits - 1;
  const keys = new Uint32Array(2 ** bits);
  const states = new Int32Array(2 ** bits);
  const root = new Int32Array(256);
  const [fail, depth, longest] = [new Int32Array(most), new Int32Array(most), new Int32Array(most)];
  const parents = new Int32Array(most);
  const bytes = new Uint8Array(most);
  let last = 0;

  /** Of the step's entry, or of the free one where it belongs. No pattern has a NUL in it, so that no key is 0. */
  function slotOf(state: number, byte: number): number {
    const key = state * 256 + byte;
    let slot = (Math.imul(key, 0x9e3779b1) >>> (32 - bits)) & mask;
    while (keys[slot] !== 0 && keys[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }
  const next = (state: number, byte: number) => states[slotOf(state, byte)] ?? 0;
  const step = (state: number, byte: number) => (state === 0 ? (root[byte] ?? 0) : next(state, byte));

  for (const pattern of patterns) {
    let state = 0;
    for (const byte of pattern) {
      let following = step(state, byte);
      if (following === 0) {
        following = ++last;
        parents[following] = state;
        bytes[following] = byte;
        depth[following] = (depth[state] ?? 0) + 1;
        if (state === 0) root[byte] = following;
        else {
          const slot = slotOf(state, byte);
          keys[slot] = state * 256 + byte;
          states[slot] = following;
        }
      }
      state = following;
    }
    longest[state] = pattern.length;
  }

  for (const state of byDepth(depth, last)) {
    const parent = parents[state] ?? 0;
    const byte = bytes[state] ?? 0;
    let suffix = 0;
    if (parent !== 0) {
      suffix = fail[parent] ?? 0;
      while (suffix !== 0 && next(suffix, byte) === 0) suffix = fail[suffix] ?? 0;
      suffix = step(suffix, byte);
    }
    fail[state] = suffix;
    if (longest[state] === 0) longest[state] = longest[suffix] ?? 0;
  }
  return { root, next, fail, depth, longest };
}

/** The states from 1 to `last`, by their depth (counting sort). */
function byDepth(depth: Int32Array, last: number): Int32Array {
  const starts: number[] = [0];
  for (let state = 1; state <= last; state++) {
    const place = (depth[state] ?? 0) + 1;
    starts[place] = (starts[place] ?? 0) + 1;
  }
  for (let place = 1; place < starts.length; place++)
    starts[place] = (starts[place] ?? 0) + (starts[place - 1] ?? 0);
  const sorted = new Int32Array(last);
  for (let state = 1; state <= last; state++) {
    const own = depth[state] ?? 0;
    const place = starts[own] ?? 0;
    sorted[place] = state;
    starts[own] = place + 1;
  }
  return sorted;
}
