/**
 * A client's connection: whether it is idle, and since when. Node's HTTP server keeps a timer and entries in four trees for
 * that, and puts up all of them anew with each request; here a request costs an addition, and the connection a look every
 * second.
 */
import type { Socket } from 'node:net';

/** In looks, that is seconds. */
export interface ConnectionLimits {
  /** Without a request. */
  idle: number;
  /** From the first byte of a request to the last one of its head. */
  head: number;
}

/** Why a connection is to be closed: it has been idle, or its client has begun with a request and does not go on. */
export type Expiry = 'idle' | 'slow';

const CONNECTION = Symbol('connection');

type Connected = Socket & { [CONNECTION]?: ClientConnection };

export class ClientConnection {
  /** Requests whose answers are not over. */
  private requests = 0;
  /** Its client has been told, or is about to be, that it closes after an answer. */
  endsAfterAnswer = false;
  private served = false;
  /** Of the last request something is still to come, although it has been answered. */
  private unread = false;
  /** How often it was found idle, and with a part of a head. */
  private idle = 0;
  private head = 0;
  /** Bytes that had come when it was first looked at since; -1: not yet. */
  private bytes = 0;

  constructor(readonly socket: Socket) {
    (socket as Connected)[CONNECTION] = this;
  }

  /** A request's head is complete. */
  begin(): void {
    this.requests++;
  }

  /** The answer is out, or the client is gone. `complete`: all of the request has come. */
  end(complete: boolean): void {
    this.requests--;
    this.served = true;
    this.unread = !complete;
    this.idle = this.head = 0;
    this.bytes = -1;
  }

  /** It speaks another protocol from here on. */
  leave(): void {
    this.requests = Number.POSITIVE_INFINITY;
  }

  hasLeft(): boolean {
    return this.requests === Number.POSITIVE_INFINITY;
  }

  /** Whether all that it asked for has been answered; not of one that has not asked for anything yet. */
  isIdle(): boolean {
    return this.requests === 0 && this.served && this.head === 0;
  }

  /** Called once a second. @returns why it is to be closed; null: it stays. */
  look(limits: ConnectionLimits): Expiry | null {
    if (this.requests > 0) return null;
    const { bytesRead } = this.socket;
    if (this.bytes < 0) this.bytes = bytesRead;
    if (bytesRead === this.bytes) return ++this.idle > limits.idle ? 'idle' : null;
    if (this.unread) {
      this.bytes = bytesRead;
      this.idle = 0;
      return null;
    }
    return ++this.head > limits.head ? 'slow' : null;
  }
}

/** The connection that a request came on; undefined: on none, as calls of the node's own do. */
export function connectionOf(socket: Socket): ClientConnection | undefined {
  return (socket as Connected)[CONNECTION];
}
