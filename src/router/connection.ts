/**
 * One connection to a process, for one call at a time: HTTP/1.1 (RFC 9112) over a Unix socket. The head of a request is
 * one string and the head of an answer is read once, because this is what a warm call costs most in.
 */
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';

export interface ConnectionRequest {
  method: string;
  /** The request target; absolute-form, so that the function sees the public URL. */
  target: string;
  /** Name, value, name, value …: names in lower case, without framing headers but Content-Length. */
  headers: readonly string[];
  body: Readable | null;
}

/** What becomes of a request. Exactly one of `onComplete` and `onError` ends it. */
export interface ConnectionHandler {
  /** `headers`: name, value, name, value …: names in lower case, without framing headers but Content-Length. */
  onHeaders(status: number, headers: string[], length: number | null): void;
  /** False pauses the answer until `resume()`. */
  onData(chunk: Buffer): boolean;
  onComplete(): void;
  onError(error: Error): void;
}

/** Bytes that the head of an answer may have. */
const MAX_HEAD_BYTES = 256 * 1024;

enum Reading {
  Idle,
  Head,
  Length,
  ChunkSize,
  ChunkData,
  ChunkEnd,
  Trailers,
  UntilClose,
}

export class Connection {
  private readonly socket: Socket;
  private handler: ConnectionHandler | null = null;
  private state: Reading = Reading.Idle;
  private rest: Buffer | null = null;
  private left = 0;
  private headOnly = false;
  private keepAlive = true;
  private failure: Error | null = null;
  private bodyDone = true;
  /** False once it has failed or was closed. */
  usable = true;

  constructor(socketPath: string) {
    this.socket = connect(socketPath);
    this.socket.on('data', (chunk: Buffer) => this.read(chunk));
    this.socket.on('error', (error) => {
      this.failure = error;
    });
    this.socket.on('end', () => this.onEnd());
    this.socket.on('close', () => this.fail(this.failure ?? new Error('the process closed the connection')));
  }

  /** Whether the answer was read to its end and another request may follow. */
  get reusable(): boolean {
    return this.usable && this.keepAlive && this.bodyDone && this.state === Reading.Idle;
  }

  send(request: ConnectionRequest, handler: ConnectionHandler): void {
    if (!this.usable) {
      queueMicrotask(() => handler.onError(this.failure ?? closed()));
      return;
    }
    this.handler = handler;
    this.state = Reading.Head;
    this.headOnly = request.method === 'HEAD';
    const { headers, body } = request;
    let head = `${request.method} ${request.target} HTTP/1.1\r\n`;
    let sized = false;
    for (let index = 0; index + 1 < headers.length; index += 2) {
      if (headers[index] === 'content-length') sized = true;
      head += `${headers[index]}: ${headers[index + 1]}\r\n`;
    }
    if (body === null) {
      this.socket.write(`${head}\r\n`, 'latin1');
      return;
    }
    this.socket.write(sized ? `${head}\r\n` : `${head}transfer-encoding: chunked\r\n\r\n`, 'latin1');
    this.sendBody(body, !sized);
  }

  resume(): void {
    this.socket.resume();
  }

  /** Cuts it; a request under way ends with `onError`. */
  destroy(): void {
    this.usable = false;
    this.socket.destroy();
  }

  private sendBody(body: Readable, chunked: boolean): void {
    const { socket } = this;
    this.bodyDone = false;
    const onDrain = () => body.resume();
    body.on('data', (chunk: Buffer) => {
      if (chunked) socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
      const flowing = socket.write(chunk);
      if (chunked) socket.write('\r\n', 'latin1');
      if (!flowing) {
        body.pause();
        socket.once('drain', onDrain);
      }
    });
    body.on('end', () => {
      this.bodyDone = true;
      if (chunked) socket.write('0\r\n\r\n', 'latin1');
    });
    // The client broke off: what the process has of it is no request.
    body.on('error', () => this.destroy());
    socket.once('close', () => body.destroy());
  }

  private read(chunk: Buffer): void {
    let bytes = chunk;
    if (this.rest !== null) {
      bytes = Buffer.concat([this.rest, chunk]);
      this.rest = null;
    }
    let at = 0;
    while (at < bytes.length) {
      const next = this.step(bytes, at);
      if (next < 0) {
        this.rest = at === 0 ? bytes : bytes.subarray(at);
        if (this.rest.length > MAX_HEAD_BYTES) this.break('an answer with too large a head');
        return;
      }
      at = next;
      if (!this.usable) return;
    }
  }

  /** Takes one part of the answer from `bytes`; returns where the next begins, or -1 when it is not all there. */
  private step(bytes: Buffer, at: number): number {
    switch (this.state) {
      case Reading.Head:
        return this.readHead(bytes, at);
      case Reading.Length:
      case Reading.ChunkData: {
        const end = Math.min(bytes.length, at + this.left);
        this.left -= end - at;
        this.deliver(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
        if (this.left === 0) {
          if (this.state === Reading.Length) this.complete();
          else this.state = Reading.ChunkEnd;
        }
        return end;
      }
      case Reading.ChunkSize: {
        const end = bytes.indexOf('\r\n', at);
        if (end < 0) return -1;
        const size = Number.parseInt(bytes.toString('latin1', at, end), 16);
        if (!(size >= 0)) return this.break('a chunk without a size');
        this.left = size;
        this.state = size === 0 ? Reading.Trailers : Reading.ChunkData;
        return end + 2;
      }
      case Reading.ChunkEnd:
        if (bytes.length < at + 2) return -1;
        this.state = Reading.ChunkSize;
        return at + 2;
      case Reading.Trailers: {
        const end = bytes.indexOf('\r\n', at);
        if (end < 0) return -1;
        if (end === at) this.complete();
        return end + 2;
      }
      case Reading.UntilClose:
        this.deliver(bytes.subarray(at));
        return bytes.length;
      default:
        return this.break('bytes that no request asked for');
    }
  }

  private readHead(bytes: Buffer, at: number): number {
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end < 0) return -1;
    const head = bytes.toString('latin1', at, end + 2);
    // `HTTP/1.1 200 OK`
    const status = Number(head.slice(9, 12));
    let length: number | null = null;
    let chunked = false;
    const headers: string[] = [];
    let line = head.indexOf('\r\n') + 2;
    while (line < head.length) {
      const stop = head.indexOf('\r\n', line);
      const colon = head.indexOf(':', line);
      if (colon < 0 || colon > stop) return this.break('a header without a colon');
      const name = head.slice(line, colon).toLowerCase();
      const value = head.slice(head.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1, stop);
      line = stop + 2;
      switch (name) {
        case 'transfer-encoding':
          chunked = true;
          continue;
        case 'connection':
          if (value.toLowerCase() === 'close') this.keepAlive = false;
          continue;
        case 'keep-alive':
          continue;
        case 'content-length':
          length = Number(value);
      }
      headers.push(name, value);
    }
    if (status < 200) return end + 4; // an interim answer: the real one follows
    const none = this.headOnly || status === 204 || status === 304;
    this.handler?.onHeaders(status, headers, none ? 0 : chunked ? null : length);
    if (none || length === 0) this.complete();
    else if (chunked) this.state = Reading.ChunkSize;
    else if (length !== null) {
      this.left = length;
      this.state = Reading.Length;
    } else {
      this.keepAlive = false;
      this.state = Reading.UntilClose;
    }
    return end + 4;
  }

  private deliver(chunk: Buffer): void {
    if (this.handler?.onData(chunk) === false) this.socket.pause();
  }

  private complete(): void {
    this.state = Reading.Idle;
    // Whoever was too full for its last bytes has no more to say here: the next answer is another's.
    if (this.socket.isPaused()) this.socket.resume();
    const { handler } = this;
    this.handler = null;
    handler?.onComplete();
  }

  private break(what: string): -1 {
    this.failure = new Error(`the process sent ${what}`);
    this.destroy();
    return -1;
  }

  private onEnd(): void {
    this.usable = false;
    if (this.state === Reading.UntilClose) this.complete();
  }

  private fail(error: Error): void {
    this.usable = false;
    const { handler } = this;
    this.handler = null;
    handler?.onError(error);
  }
}

function closed(): Error {
  return new Error('the process closed the connection');
}
