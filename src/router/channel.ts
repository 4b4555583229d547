/**
 * One router's connection to a process for calls in frames (pool/frames.ts): many at once, and what one turn of the event
 * loop brings is written together, because waking the other side costs more than all else.
 */
import { closeSync, open, readSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import {
  ANSWER_PREFIX,
  CallTable,
  FrameKind,
  MAX_ANSWER_FRAME,
  MAX_REQUEST_FRAME,
  PROGRESS_PLACES,
  type ProcessAddress,
  REQUEST_PREFIX,
} from '../supervisor/protocol.js';
import type { Crowd } from './crowd.js';
import { createWholeHeads } from './whole_answer.js';

/** What becomes of a call: it is answered or lost, once. */
export interface FrameHandler {
  /** `head`: names and values in turn, joined by line feeds, as the function gave them: unchecked. */
  onAnswer(kind: number, cpuUs: number, status: number, head: string, body: Buffer): void;
  /** All answers that came with it have been delivered: the time for what no client waits for. */
  afterAnswer(): void;
  /** The process ended. `unseen`: for certain before the function saw the call. */
  onLost(unseen: boolean): void;
}

/** How a frame begins: its length, kind and call, then the length of the head. */
const word = (value: number) =>
  String.fromCharCode((value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
const CALL = String.fromCharCode(FrameKind.Call);
const ABORT = String.fromCharCode(FrameKind.Abort);
const HTTP = `${word(5)}${String.fromCharCode(FrameKind.Http)}${word(0)}`;
const HELLO = `${word(5)}${String.fromCharCode(FrameKind.Hello)}${word(0)}`;
/** Calls that are written at once while the node is not busy, rather than with all others of the turn. */
const FEW = 4;

/** Whether a head and a body, in Latin-1 characters, fit into a frame. */
export function fitsFrame(head: string, bodyLength: number): boolean {
  return REQUEST_PREFIX + head.length + bodyLength <= MAX_REQUEST_FRAME;
}

export class Channel {
  private readonly socket: Socket;
  private readonly calls = new CallTable<FrameHandler>();
  private last = 0;
  /** What the next flush writes, in Latin-1. */
  private batch = '';
  /** Calls in it. */
  private batched = 0;
  /** The last call that was handed to the socket. */
  private written = 0;
  private scheduled = false;
  private rest: Buffer | null = null;
  /** Whose answers came in what is being read. */
  private answered: FrameHandler[] = [];
  private connected = false;
  private progress: number | null = null;
  private place = -1;
  private http = false;
  usable = true;
  /** Heads of the answers that came on it. */
  readonly wholeHeads = createWholeHeads();

  /** @param crowd whose calls come on it. */
  constructor(
    sockets: ProcessAddress['sockets'],
    private readonly crowd: Crowd,
  ) {
    this.socket = connect(sockets.frames);
    this.socket.on('connect', () => {
      this.connected = true;
    });
    this.socket.on('data', (chunk: Buffer) => this.read(chunk));
    this.socket.on('error', () => {}); // 'close' follows
    this.socket.on('close', () => this.end());
    open(sockets.progress, 'r', (error, file) => {
      if (error !== null) return; // every call that was written then counts as seen
      if (this.usable) this.progress = file;
      else closeSync(file);
    });
    this.batch = HELLO;
    this.schedule();
  }

  /** `head`: see pool/frames.ts; `body` in Latin-1. Returns the call's number, to abort it by. */
  send(head: string, body: string, handler: FrameHandler): number {
    const call = ++this.last;
    if (!this.usable) {
      queueMicrotask(() => handler.onLost(true));
      return call;
    }
    const isIdle = this.calls.size === 0 && !this.scheduled;
    this.calls.set(call, handler);
    this.crowd.calls++;
    const length = REQUEST_PREFIX - 4 + head.length + body.length;
    this.batched++;
    this.batch += `${word(length)}${CALL}${word(call)}${word(head.length)}${head}${body}`;
    // A process that has nothing to do begins with the first call, while others are still being read here; and goes on
    // with the next few where there is a core for it.
    if (isIdle || (this.batched >= FEW && this.crowd.isSmall())) this.flush();
    else this.schedule();
    return call;
  }

  /** The caller is gone: the function's `request.signal` says so, and its answer goes nowhere. */
  abort(call: number): void {
    if (this.take(call) !== undefined) this.giveUp(call);
  }

  /** Nobody comes for the answer that the process has kept. */
  giveUp(call: number): void {
    if (!this.usable) return;
    this.batch += `${word(5)}${ABORT}${word(call)}`;
    this.schedule();
  }

  /** Before a call goes to the process over HTTP: it serves that from now on. */
  openHttp(): void {
    if (this.http) return;
    this.http = true;
    this.batch += HTTP;
    this.schedule();
  }

  /** Calls that are there, and that the function has not seen. */
  unseen(): number {
    const seen = this.lastSeen();
    let calls = 0;
    for (const [call] of this.calls.entries()) if (call > seen) calls++;
    return calls;
  }

  destroy(): void {
    this.usable = false;
    this.socket.destroy();
  }

  private take(call: number): FrameHandler | undefined {
    const handler = this.calls.take(call);
    if (handler !== undefined) this.crowd.calls--;
    return handler;
  }

  private schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => this.flush());
  }

  private flush(): void {
    this.scheduled = false;
    if (!this.usable || this.batch === '') return;
    this.written = this.last;
    this.socket.write(this.batch, 'latin1');
    this.crowd.poll.written(this.crowd.calls);
    this.batch = '';
    this.batched = 0;
  }

  /** First every answer goes out, then what can wait is done: clients go on with the ones while this does the other. */
  private read(chunk: Buffer): void {
    this.deliverAll(chunk);
    const { answered } = this;
    for (let index = 0; index < answered.length; index++) answered[index]?.afterAnswer();
    answered.length = 0;
    this.crowd.poll.answered(this.crowd.calls);
  }

  private deliverAll(chunk: Buffer): void {
    let bytes = chunk;
    if (this.rest !== null) {
      bytes = Buffer.concat([this.rest, chunk]);
      this.rest = null;
    }
    let at = 0;
    while (bytes.length - at >= 4) {
      const end = at + 4 + bytes.readUInt32BE(at);
      if (end - at > MAX_ANSWER_FRAME || end - at < ANSWER_PREFIX) return this.destroy();
      if (end > bytes.length) break;
      this.deliver(bytes, at, end);
      if (!this.usable) return;
      at = end;
    }
    if (at < bytes.length) this.rest = at === 0 ? bytes : bytes.subarray(at);
  }

  private deliver(bytes: Buffer, at: number, end: number): void {
    const kind = bytes[at + 4] ?? 0;
    if (kind === FrameKind.Hello) {
      this.place = bytes.readUInt32BE(at + 9);
      return;
    }
    const call = bytes.readUInt32BE(at + 5);
    const handler = this.take(call);
    if (handler === undefined) return; // aborted
    const headEnd = at + ANSWER_PREFIX + bytes.readUInt32BE(at + 15);
    if (headEnd > end) return this.fail(handler);
    this.answered.push(handler);
    handler.onAnswer(
      kind,
      bytes.readUInt32BE(at + 9),
      bytes.readUInt16BE(at + 13),
      bytes.toString('latin1', at + ANSWER_PREFIX, headEnd),
      bytes.subarray(headEnd, end),
    );
  }

  private fail(handler: FrameHandler): void {
    this.destroy();
    handler.onLost(false);
  }

  private end(): void {
    this.usable = false;
    const seen = this.connected ? this.lastSeen() : 0;
    if (this.progress !== null) closeSync(this.progress);
    this.progress = null;
    const lost = this.calls.entries();
    this.crowd.calls -= lost.length;
    this.calls.clear();
    for (const [call, handler] of lost) handler.onLost(call > seen);
  }

  /** The last call that the function may have seen. */
  private lastSeen(): number {
    if (this.progress === null || this.place < 0 || this.place >= PROGRESS_PLACES) return this.written;
    const bytes = Buffer.alloc(4);
    try {
      if (readSync(this.progress, bytes, 0, 4, 4 * this.place) !== 4) return this.written;
    } catch {
      return this.written;
    }
    return bytes.readUInt32BE(0);
  }
}
