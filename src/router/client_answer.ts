/**
 * The answer to a client, with what is remembered of its request. In fields that are there from the start: what is put on
 * an object later makes one of another shape of it, and Node's own code is slower for answers of several.
 */
import { type IncomingMessage, ServerResponse } from 'node:http';
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
}

function closed(this: ClientAnswer): void {
  this.call?.clientGone();
  this.onClosed?.(this);
}
