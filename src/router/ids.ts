/** Identifiers of executions and requests. */
import { randomFillSync } from 'node:crypto';

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const RANDOM = 10;

/** Makes UUIDv7 (RFC 9562, 5.7): 48 bits of Unix time in ms, then 74 random bits. Random bytes are drawn in blocks. */
export function createUuid7(): (now: number) => string {
  const pool = Buffer.alloc(RANDOM * 512);
  let at = pool.length;
  const hex = (index: number) => HEX[pool[index] ?? 0] ?? '00';
  return (now) => {
    if (at >= pool.length) {
      randomFillSync(pool);
      at = 0;
    }
    const time = now.toString(16).padStart(12, '0');
    const version = HEX[0x70 | ((pool[at] ?? 0) & 0x0f)] ?? '70';
    const variant = HEX[0x80 | ((pool[at + 2] ?? 0) & 0x3f)] ?? '80';
    const id = `${time.slice(0, 8)}-${time.slice(8)}-${version}${hex(at + 1)}-${variant}${hex(at + 3)}-${hex(at + 4)}${hex(at + 5)}${hex(at + 6)}${hex(at + 7)}${hex(at + 8)}${hex(at + 9)}`;
    at += RANDOM;
    return id;
  };
}

/** What a client may send as `x-request-id` to have it carried on; anything else is replaced. */
export const REQUEST_ID = /^[\w.:/+=-]{1,128}$/;
