/** Cuts text that is kept to 64 KiB, and says so in it. */

/** Bytes of UTF-8 that `result`, `logs` and the other texts of an execution may have, the note included. */
export const CUT_BYTES = 65_536;

const NOTE = '… [cut at 64 KiB]';
const NOTE_BYTES = Buffer.byteLength(NOTE);

/** At most 64 KiB of UTF-8: longer text ends at a character's boundary, followed by `… [cut at 64 KiB]`. */
export function cut64k(text: string): string {
  return isTooLong(text) ? cutWithNote(text) : text;
}

export function isTooLong(text: string): boolean {
  // No UTF-16 unit takes more than three bytes of UTF-8: most text needs no counting.
  if (text.length * 3 <= CUT_BYTES) return false;
  return text.length > CUT_BYTES || Buffer.byteLength(text) > CUT_BYTES;
}

/** The same for a text of which the end is missing already, however short it is. */
export function cutWithNote(text: string): string {
  const bytes = Buffer.from(text.slice(0, CUT_BYTES));
  let end = Math.min(bytes.length, CUT_BYTES - NOTE_BYTES);
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end) + NOTE;
}
