/** The time inside a UUIDv7 (RFC 9562, section 5.7): its first 48 bits are Unix milliseconds. */

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Unix ms; null when `id` is not a UUIDv7. */
export function uuidv7Time(id: string): number | null {
  if (UUID.exec(id)?.[1] !== '7') return null;
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
