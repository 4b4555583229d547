/** A request's JSON body, never buffered beyond its limit. */
import { HearthError } from '../../errors.js';
import { invalidRequest } from './validate.js';

/**
 * Whatever the content type says. Throws HearthError TOO_LARGE over `maxBytes`, INVALID_REQUEST for what is not JSON: with
 * the place that is wrong, unless nothing of the body may show.
 */
export async function readJson(
  request: Request,
  maxBytes: number,
  shown: 'shown' | 'confidential' = 'shown',
): Promise<unknown> {
  const tooLarge = new HearthError('TOO_LARGE', `The request's body is over the limit of ${maxBytes} bytes.`);
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = request.body?.getReader();
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
    bytes += part.value.byteLength;
    if (bytes > maxBytes) {
      await reader?.cancel();
      throw tooLarge;
    }
    chunks.push(part.value);
  }
  if (bytes === 0) throw invalidRequest([{ field: 'body', message: 'is empty: JSON is expected' }]);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (error) {
    // TextDecoder throws a TypeError for malformed UTF-8, JSON.parse a SyntaxError that says where.
    const why = error instanceof SyntaxError ? error.message : 'is not valid UTF-8';
    const message = shown === 'shown' ? `is not JSON: ${why}` : 'is not JSON';
    throw invalidRequest([{ field: 'body', message }]);
  }
}
