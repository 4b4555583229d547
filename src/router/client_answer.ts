/**
 * The answer to a client, with what is remembered of its request. In fields that are there from the start: what is put on
 * an object later makes one of another shape of it, and Node's own code is slower for answers of several.
 */
import {
  IncomingMessage,
  type OutgoingHttpHeader,
  type OutgoingHttpHeaders,
  ServerResponse,
} from 'node:http';
import { Socket } from 'node:net';
import type { ErrorCode } from '../errors.js';
import type { Noted } from './call_spans.js';
import { connectionOf } from './client_connection.js';

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
  private readonly client = connectionOf(this.req.socket);

  constructor(request: IncomingMessage) {
    super(request);
    this.client?.begin();
    this.on('close', this.settle);
  }

  override writeHead(status: number, ...rest: Head): this {
    // What Node's server tells its answers, where it has a timer for connections that are idle.
    (this as unknown as Inner)._keepAliveTimeout = KEEP_ALIVE_MS;
    return super.writeHead(status, ...(rest as [string, Fields?]));
  }

  /** Whether nothing about the answer asks for more than what {@link setHead} does. */
  takesHead(): boolean {
    return IS_AS_KNOWN && !this.headersSent && this.shouldKeepAlive && this.req.httpVersionMinor === 1;
  }

  /**
   * In place of `writeHead`, for a client that stays connected.
   *
   * @param head status line and headers, Content-Length among them, all of them valid.
   */
  setHead(status: number, head: string): void {
    this.statusCode = status;
    (this as unknown as Inner)._header = `${head}${dateLine()}${STAYS}`;
  }

  /**
   * In place of `end`, for the last of a body whose length the head tells. What is small leaves with the head in one
   * write(2): given to `end` the two would take a writev(2) with an empty part.
   */
  endWith(last: Buffer): void {
    if (!IS_AS_KNOWN || last.length > SMALL_BODY_BYTES) return void this.end(last);
    (this as unknown as Inner)._send(last.toString('latin1'), 'latin1');
    this.end();
  }

  private settle(): void {
    this.client?.end(this.req.complete);
    this.call?.clientGone();
    this.onClosed?.(this);
  }
}

type Fields = OutgoingHttpHeaders | OutgoingHttpHeader[];
type Head = [reason?: string | Fields, fields?: Fields];

const SMALL_BODY_BYTES = 8 * 1024;

/** ms that a connection may be idle. Longer than with the usual load balancers, so that they close first. */
export const KEEP_ALIVE_MS = 75_000;
const STAYS = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_MS / 1000}\r\n\r\n`;

/** What Node has in an answer and does not document. */
interface Inner {
  /** The head, until the first byte is written. */
  _header: string | null;
  /** Told to clients in `Keep-Alive`, in ms. */
  _keepAliveTimeout: number;
  /** Writes, after the head if that is not out. */
  _send(text: string, encoding: 'latin1'): boolean;
}

/** Whether this Node does. */
const IS_AS_KNOWN = isAsKnown(new ServerResponse(new IncomingMessage(new Socket())));

function isAsKnown(answer: object): boolean {
  return Reflect.get(answer, '_header') === null && typeof Reflect.get(answer, '_send') === 'function';
}

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
