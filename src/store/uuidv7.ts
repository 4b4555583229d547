/** The time inside a UUIDv7 (RFC 9562, section 5.7): its first 48 bits are Unix milliseconds. */
import { randomUUID } from 'node:crypto';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Unix ms; null when `id` is not a UUIDv7. */
export function uuidv7Time(id: string): number | null {
  if (UUID.exec(id)?.[1] !== '7') return null;
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** A new one of that time, in Unix ms. Not for the path of calls, which draws its random bytes in blocks. */
export function newUuidv7(now: number): string {
  const time = Math.floor(now).toString(16).padStart(12, '0');
  // A version 4 has its random digits where a version 7 has them as well.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}
