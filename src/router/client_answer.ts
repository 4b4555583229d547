/**
 * The answer to a client, with what is remembered of its request. In fields that are there from the start: what is put on
 * an object later makes one of another shape of it, and Node's own code is slower for answers of several.
 */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { ErrorCode } from '../errors.js';
import type { Noted } from './call_spans.js';

export class ClientAnswer extends ServerResponse<IncomingMessage> {
  /** When the request came, in ms of performance.now(). */
  readonly began = performance.now();
  /** The request's target, as it came. */
  asked = '';
  /** The platform's error that it was answered with, or broken off for; null: none. */
  code: ErrorCode | null = null;
  /** Of a request that is recorded. */
  noted: Noted | null = null;
  /** Told first that the client has all of it, or is gone. */
  call: { clientGone(): void } | null = null;
  /** Told then. */
  onClosed: ((answer: ClientAnswer) => void) | null = null;

  constructor(request: IncomingMessage) {
    super(request);
    this.on('close', closed);
  }

  /** Whether nothing about the answer asks for more than what {@link setHead} does. */
  takesHead(): boolean {
    return KEEPS_HEAD_AS_TEXT && !this.headersSent && this.shouldKeepAlive && this.req.httpVersionMinor === 1;
  }

  /**
   * In place of `writeHead`, for a client that stays connected.
   *
   * @param head status line and headers, Content-Length among them, all of them valid.
   */
  setHead(status: number, head: string): void {
    this.statusCode = status;
    (this as unknown as WithHead)._header = `${head}${dateLine()}${STAYS}`;
  }
}

/** ms that a connection may be idle. Longer than with the usual load balancers, so that they close first. */
export const KEEP_ALIVE_MS = 75_000;
const STAYS = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_MS / 1000}\r\n\r\n`;

/** Where Node keeps an answer's head until its first byte is written. */
interface WithHead {
  _header: string | null;
}

/** Whether this Node does. */
const KEEPS_HEAD_AS_TEXT =
  Reflect.get(new ServerResponse(new IncomingMessage(new Socket())), '_header') === null;

let date: string | null = null;

/** RFC 9110, 6.6.1: made once a second. */
function dateLine(): string {
  if (date !== null) return date;
  const now = new Date();
  date = `Date: ${now.toUTCString()}\r\n`;
  setTimeout(() => {
    date = null;
  }, 1000 - now.getMilliseconds()).unref();
  return date;
}

function closed(this: ClientAnswer): void {
  this.call?.clientGone();
  this.onClosed?.(this);
}
