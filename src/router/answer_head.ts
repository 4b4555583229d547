/** The head of a function's answer on its way to the client. */

export interface AnswerHead {
  /** Name, value, name, value …: what the client gets of the function's own headers. */
  headers: string[];
  contentType: string | undefined;
  /** Whether the body is compressed, or encoded in some other way. */
  encoded: boolean;
  /** The runner's own header. */
  mark: string | undefined;
}

/** Name, value, name, value … of what a frame has as its head. */
export function headerList(head: string): readonly string[] {
  return head === '' ? EMPTY : head.split('\n');
}

const EMPTY: readonly string[] = [];

/**
 * @param received name, value, name, value …: names in lower case.
 * @param sized Content-Length where the frame tells it, empty where there is none; null where the answer's own headers do.
 */
export function readAnswerHead(received: readonly string[], sized: string | null): AnswerHead {
  const headers: string[] = [];
  const head: AnswerHead = { headers, contentType: undefined, encoded: false, mark: undefined };
  for (let index = 0; index + 1 < received.length; index += 2) {
    const name = received[index] ?? '';
    const value = received[index + 1] ?? '';
    switch (name) {
      case 'x-request-id':
      case 'x-execution-id':
      // Hop-by-hop (RFC 9110, 7.6.1): between the function and here.
      case 'connection':
      case 'keep-alive':
      case 'transfer-encoding':
      case 'upgrade':
      case 'trailer':
      case 'te':
      case 'proxy-authenticate':
      case 'proxy-connection':
        continue;
      case 'content-length':
        if (sized !== null) continue;
        break;
      case 'x-hearth':
        head.mark = value;
        continue;
      case 'content-type':
        head.contentType = value;
        break;
      case 'content-encoding':
        head.encoded = true;
        break;
    }
    headers.push(name, value);
  }
  if (sized !== null && sized !== '') headers.push('content-length', sized);
  return head;
}
