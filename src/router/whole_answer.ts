/**
 * The head of an answer whose body is there as a whole, as the text that goes to the client. What a function answers with
 * again and again is checked and put together once.
 */
import { STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http';
import { headerList, readAnswerHead } from './answer_head.js';
import { isResultText } from './result_text.js';

export interface WholeHead {
  status: number;
  /** As the process sent it. */
  received: string;
  /** Status line and the function's own headers. */
  text: string;
  /** Whether the body is text that is kept with the execution. */
  isText: boolean;
}

/** Null where the answer has to be looked at closer: it may be one that cannot be sent. */
export type WholeHeads = (status: number, received: string) => WholeHead | null;

/** Characters of a head that is remembered: there is one for each process that this router has to do with. */
const MAX_REMEMBERED = 4 * 1024;

/** Remembers the last one. */
export function createWholeHeads(): WholeHeads {
  let last: WholeHead | null = null;
  return (status, received) => {
    if (last !== null && last.status === status && last.received === received) return last;
    const made = makeHead(status, received);
    last = received.length <= MAX_REMEMBERED ? made : null;
    return made;
  };
}

function makeHead(status: number, received: string): WholeHead | null {
  // 204 and 304 have no body (RFC 9110, 15.3.5 and 15.4.5).
  if (status < 200 || status > 599 || status === 204 || status === 304) return null;
  const { headers, contentType, encoded, mark } = readAnswerHead(headerList(received), '');
  if (mark !== undefined) return null;
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    const value = headers[index + 1] ?? '';
    if (name === 'date' || !isValid(name, value)) return null;
    text += `${name}: ${value}\r\n`;
  }
  return { status, received, text, isText: isResultText(contentType, encoded) };
}

/** By the rules that `writeHead` has (RFC 9110, 5.1 and 5.5). */
function isValid(name: string, value: string): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return true;
  } catch {
    return false;
  }
}

/** `own`: headers of the platform's own, name, value, name, value …, of which the first four are its ids. */
export function wholeHeadText(head: WholeHead, bodyBytes: number, own: readonly string[]): string | null {
  let text = `${head.text}content-length: ${bodyBytes}\r\n${own[0]}: ${own[1]}\r\n${own[2]}: ${own[3]}\r\n`;
  for (let index = 4; index + 1 < own.length; index += 2) {
    const name = own[index] ?? '';
    const value = own[index + 1] ?? '';
    if (!isValid(name, value)) return null;
    text += `${name}: ${value}\r\n`;
  }
  return text;
}
