/** The start of an answer's body, kept for the execution's `result` where it is text. */

/** Bytes kept; the store cuts at the same length and says so. */
const KEPT_BYTES = 64 * 1024 + 1;
const TEXT =
  /^(text\/|application\/(json|xml|javascript|x-www-form-urlencoded|graphql|[\w.+-]*\+(json|xml)))/i;

export interface ResultText {
  add(chunk: Buffer): void;
  text(): string | null;
}

/** Null where the body is not text or is compressed. The text is copied, so that no network buffer is held for it. */
export function keepResult(contentType: string | undefined, encoded: boolean): ResultText | null {
  if (encoded || (contentType !== undefined && !TEXT.test(contentType))) return null;
  if (contentType === undefined) return null;
  let text = '';
  let bytes = 0;
  return {
    add(chunk) {
      if (bytes >= KEPT_BYTES) return;
      const part = bytes + chunk.length > KEPT_BYTES ? chunk.subarray(0, KEPT_BYTES - bytes) : chunk;
      bytes += part.length;
      text += part.toString('utf8');
    },
    text: () => text,
  };
}
