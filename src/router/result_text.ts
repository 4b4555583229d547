/** The start of an answer's body, kept for the execution's `result` where it is text. */

/** Bytes kept; the store cuts at the same length and says so. */
const KEPT_BYTES = 64 * 1024 + 1;
const TEXT =
  /^(text\/|application\/(json|xml|javascript|x-www-form-urlencoded|graphql|[\w.+-]*\+(json|xml)))/i;

export interface ResultText {
  add(chunk: Buffer): void;
  text(): string | null;
}

/** Whether a body is text, and not compressed. */
export function isResultText(contentType: string | undefined, encoded: boolean): boolean {
  return !encoded && contentType !== undefined && TEXT.test(contentType);
}

/** Null where the body is not text or is compressed. */
export function keepResult(contentType: string | undefined, encoded: boolean): ResultText | null {
  return isResultText(contentType, encoded) ? keepText() : null;
}

/** The text is copied, so that no network buffer is held for it. */
export function keepText(): ResultText {
  let text = '';
  let bytes = 0;
  /** The beginning of a character of which the rest comes with the next chunk. */
  let begun: Buffer | null = null;
  return {
    add(chunk) {
      if (bytes >= KEPT_BYTES) return;
      let part = bytes + chunk.length > KEPT_BYTES ? chunk.subarray(0, KEPT_BYTES - bytes) : chunk;
      bytes += part.length;
      if (begun !== null) part = Buffer.concat([begun, part]);
      const end = endOfWhole(part);
      begun = end === part.length ? null : Buffer.from(part.subarray(end));
      text += part.toString('utf8', 0, end);
    },
    text: () => (begun === null ? text : text + begun.toString('utf8')),
  };
}

/** Where the last character begins, if it is not all there; else the end (RFC 3629, section 3). */
function endOfWhole(bytes: Buffer): number {
  for (let at = bytes.length - 1; at >= 0 && at >= bytes.length - 3; at--) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return at + length > bytes.length ? at : bytes.length;
  }
  return bytes.length;
}
