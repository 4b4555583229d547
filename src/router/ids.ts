/** Identifiers of executions and requests. */
import { randomFillSync } from 'node:crypto';

const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
const RANDOM = 10;
/** Where the hexadecimal digits of the random bytes go; the first digit of the version and of the variant are made. */
const PLACES = [14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/**
 * Makes UUIDv7 (RFC 9562, 5.7): 48 bits of Unix time in ms, then 74 random bits. Random bytes are drawn in blocks; the
 * text is made as bytes, because a string put together from parts would keep the parts.
 */
export function createUuid7(): (now: number) => string {
  const pool = Buffer.alloc(RANDOM * 512);
  const text = Buffer.from('00000000-0000-0000-0000-000000000000', 'latin1');
  let at = pool.length;
  const put = (place: number, byte: number) => {
    text[place] = DIGITS[byte >>> 4] ?? 0;
    text[place + 1] = DIGITS[byte & 15] ?? 0;
  };
  return (now) => {
    if (at >= pool.length) {
      randomFillSync(pool);
      at = 0;
    }
    const high = Math.floor(now / 0x10000);
    put(0, (high >>> 24) & 255);
    put(2, (high >>> 16) & 255);
    put(4, (high >>> 8) & 255);
    put(6, high & 255);
    put(9, (now >>> 8) & 255);
    put(11, now & 255);
    for (let index = 0; index < RANDOM; index++) put(PLACES[index] ?? 0, pool[at + index] ?? 0);
    put(14, 0x70 | ((pool[at] ?? 0) & 0x0f));
    put(19, 0x80 | ((pool[at + 2] ?? 0) & 0x3f));
    at += RANDOM;
    return text.toString('latin1');
  };
}

/** What a client may send as `x-request-id` to have it carried on; anything else is replaced. */
export const REQUEST_ID = /^[\w.:/+=-]{1,128}$/;
