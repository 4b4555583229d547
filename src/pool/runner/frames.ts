/** The process's end of the frames (../frames.ts): reads calls, writes answers, as many of each at once as there are. */
import { ANSWER_PREFIX, FrameKind, MAX_REQUEST_FRAME, PROGRESS_PLACES } from '../frames.ts';
import {
  charCodeAt,
  copyWithin,
  decode,
  encodeInto,
  getUint32,
  OwnDataView,
  OwnUint8Array,
  schedule,
  setBytes,
  setUint16,
  setUint32,
  subarray,
} from './intrinsics.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** One router's connection. */
export interface Channel {
  /** Sends an answer, with the others of this turn. `head`: names and values in turn, joined by line feeds. */
  answer(
    call: number,
    kind: number,
    cpuUs: number,
    status: number,
    head: string,
    body: string | Uint8Array | null,
  ): void;
}

export interface ChannelEvents {
  /** So many calls came at once: each is told of next. */
  onArrival(calls: number): void;
  /** `body`: a view that holds until this returns; null when the call has none. */
  onCall(channel: Channel, call: number, head: string, body: Bytes | null): void;
  onAbort(channel: Channel, call: number): void;
  /** Calls come over HTTP as well. */
  onHttp(): void;
  /** The router is gone, and with it whoever waits for its calls. */
  onClosed(channel: Channel): void;
}

/** Bytes that a buffer for answers begins with. */
const OUT_BYTES = 64 * 1024;
const READ_BYTES = MAX_REQUEST_FRAME + 4 * 1024;

const encoder = new TextEncoder();
const utf8 = new TextDecoder();
const ASCII = /^[\x00-\x7f]*$/;
const isAscii = RegExp.prototype.test.bind(ASCII);

/** Accepts routers at `path` until the process ends. */
export async function listenForFrames(
  path: string,
  progressPath: string,
  events: ChannelEvents,
): Promise<void> {
  const progress = openProgress(progressPath);
  const listener = Deno.listen({ transport: 'unix', path });
  let place = 0;
  for await (const connection of listener) {
    void serve(connection, place, progress, events);
    place++;
  }
}

/** Notes which call was handed over last, for the case that the process ends without a word. */
function openProgress(path: string): (place: number, call: number) => void {
  const file = Deno.openSync(path, { write: true, create: true, truncate: true, mode: 0o600 });
  file.writeSync(new Uint8Array(4 * PROGRESS_PLACES));
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  const seekSync = file.seekSync.bind(file);
  const writeSync = file.writeSync.bind(file);
  const { Start } = Deno.SeekMode;
  return (place, call) => {
    if (place >= PROGRESS_PLACES) return;
    setUint32(view, 0, call);
    try {
      seekSync(4 * place, Start);
      writeSync(bytes);
    } catch {
      // The calls then count as seen.
    }
  };
}

async function serve(
  connection: Deno.Conn,
  place: number,
  progress: (place: number, call: number) => void,
  events: ChannelEvents,
): Promise<void> {
  const read = connection.read.bind(connection);
  const writer = createWriter(connection);
  const buffer = new OwnUint8Array(READ_BYTES);
  const view = new OwnDataView(buffer.buffer);
  let have = 0;
  for (;;) {
    let got: number | null;
    try {
      got = await read(have === 0 ? buffer : subarray(buffer, have));
    } catch {
      got = null;
    }
    if (got === null) return events.onClosed(writer.channel);
    have += got;
    const end = wholeFrames(view, have);
    if (end > 0) {
      announce(end);
      deliver(end);
      if (have > end) copyWithin(buffer, 0, end, have);
      have -= end;
    }
  }

  function announce(end: number) {
    let calls = 0;
    let last = 0;
    for (let at = 0; at < end; at += 4 + getUint32(view, at)) {
      if (buffer[at + 4] !== FrameKind.Call) continue;
      calls++;
      last = getUint32(view, at + 5);
    }
    if (calls === 0) return;
    progress(place, last);
    events.onArrival(calls);
  }

  function deliver(end: number) {
    for (let at = 0; at < end; ) {
      const next = at + 4 + getUint32(view, at);
      const call = getUint32(view, at + 5);
      switch (buffer[at + 4]) {
        case FrameKind.Call: {
          const headEnd = at + 13 + getUint32(view, at + 9);
          const head = readLatin1(subarray(buffer, at + 13, headEnd) as Bytes);
          events.onCall(
            writer.channel,
            call,
            head,
            headEnd === next ? null : (subarray(buffer, headEnd, next) as Bytes),
          );
          break;
        }
        case FrameKind.Abort:
          events.onAbort(writer.channel, call);
          break;
        case FrameKind.Http:
          events.onHttp();
          break;
        case FrameKind.Hello:
          writer.channel.answer(0, FrameKind.Hello, place, 0, '', null);
          break;
      }
      at = next;
    }
  }
}

/** Where the last whole frame ends. */
function wholeFrames(view: DataView, have: number): number {
  let at = 0;
  while (have - at >= 4) {
    const next = at + 4 + getUint32(view, at);
    if (next > have) break;
    at = next;
  }
  return at;
}

function createWriter(connection: Deno.Conn): { channel: Channel } {
  const write = connection.write.bind(connection);
  let out: Bytes = new OwnUint8Array(OUT_BYTES);
  let spare: Bytes | null = null;
  let view = new OwnDataView(out.buffer);
  let used = 0;
  let writing = false;
  let scheduled = false;

  async function flush() {
    scheduled = false;
    if (writing) return;
    writing = true;
    try {
      while (used > 0) {
        const full = out;
        const length = used;
        out = spare ?? new OwnUint8Array(OUT_BYTES);
        view = new OwnDataView(out.buffer);
        spare = null;
        used = 0;
        for (let at = 0; at < length; ) at += await write(subarray(full, at, length));
        // One that had to grow is given up again.
        if (full.length === OUT_BYTES) spare = full;
      }
    } catch {
      // The router is gone: reading ends too.
    }
    writing = false;
  }

  function reserve(bytes: number) {
    if (used + bytes <= out.length) return;
    let size = out.length * 2;
    while (size < used + bytes) size *= 2;
    const larger = new OwnUint8Array(size);
    setBytes(larger, subarray(out, 0, used));
    out = larger;
    view = new OwnDataView(out.buffer);
  }

  return {
    channel: {
      answer(call, kind, cpuUs, status, head, body) {
        const bodyBytes = body === null ? 0 : typeof body === 'string' ? body.length * 3 : body.length;
        reserve(ANSWER_PREFIX + head.length * 2 + bodyBytes);
        const start = used;
        let at = start + ANSWER_PREFIX;
        const headLength = writeLatin1(out, at, head);
        at += headLength;
        if (typeof body === 'string') at += encodeInto(encoder, body, subarray(out, at) as Bytes).written;
        else if (body !== null) {
          setBytes(out, body, at);
          at += body.length;
        }
        setUint32(view, start, at - start - 4);
        out[start + 4] = kind;
        setUint32(view, start + 5, call);
        setUint32(view, start + 9, cpuUs);
        setUint16(view, start + 13, status);
        setUint32(view, start + 15, headLength);
        used = at;
        if (scheduled || writing) return;
        scheduled = true;
        schedule(flush);
      },
    },
  };
}

/** Latin-1 (what HTTP calls isomorphic): the decoder of that name is windows-1252, so it serves for ASCII alone. */
function readLatin1(bytes: Bytes): string {
  const text = decode(utf8, bytes);
  if (text.length === bytes.length && isAscii(text)) return text;
  let slow = '';
  for (let index = 0; index < bytes.length; index++) slow += String.fromCharCode(bytes[index] as number);
  return slow;
}

/** Returns how many bytes it wrote. */
function writeLatin1(out: Bytes, at: number, text: string): number {
  const { written } = encodeInto(encoder, text, subarray(out, at) as Bytes);
  if (written === text.length) return written;
  for (let index = 0; index < text.length; index++) out[at + index] = charCodeAt(text, index);
  return text.length;
}
