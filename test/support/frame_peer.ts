/** A process's end of the frames (src/pool/frames.ts), played by a test: it keeps what comes, and says what the test says. */
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { FrameKind, PROGRESS_PLACES, type ProcessAddress } from '../../src/supervisor/protocol.js';

export interface Frame {
  kind: number;
  call: number;
  head: string;
  body: string;
}

export interface FramePeer {
  sockets: ProcessAddress['sockets'];
  /** Once the router has said hello. */
  connected: Promise<Socket>;
  received: Frame[];
  /** How often something was read. */
  chunks(): number;
  /** Resolves when so many frames have come. */
  arrived(frames: number): Promise<void>;
  /** The function has seen all calls up to this one. */
  progressTo(call: number): void;
  close(): void;
}

/** The place in the progress file that it gives the one router. */
const PLACE = 3;

/** @param dir a folder of its own. */
export async function startFramePeer(dir: string): Promise<FramePeer> {
  const sockets = { http: '', frames: join(dir, 'f'), progress: join(dir, 'progress') };
  const received: Frame[] = [];
  let chunks = 0;
  const server = createServer();
  const connected = new Promise<Socket>((resolve) => {
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      let rest = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        chunks++;
        rest = Buffer.concat([rest, chunk]);
        while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
          const frame = rest.subarray(0, 4 + rest.readUInt32BE(0));
          rest = rest.subarray(frame.length);
          if (frame[4] === FrameKind.Hello) {
            socket.write(answerFrame({ kind: FrameKind.Hello, cpuUs: PLACE }));
            resolve(socket);
          } else received.push(readFrame(frame));
        }
      });
    });
  });
  const progressTo = (call: number) => {
    const bytes = Buffer.alloc(4 * PROGRESS_PLACES);
    bytes.writeUInt32BE(call, 4 * PLACE);
    writeFileSync(sockets.progress, bytes);
  };
  progressTo(0);
  await new Promise<void>((resolve) => server.listen(sockets.frames, resolve));
  return {
    sockets,
    connected,
    received,
    chunks: () => chunks,
    async arrived(frames) {
      while (received.length < frames) await new Promise((resolve) => setImmediate(resolve));
    },
    progressTo,
    close: () => void server.close(),
  };
}

function readFrame(frame: Buffer): Frame {
  const call = frame.readUInt32BE(5);
  if (frame[4] !== FrameKind.Call) return { kind: frame[4] ?? 0, call, head: '', body: '' };
  const end = 13 + frame.readUInt32BE(9);
  return {
    kind: FrameKind.Call,
    call,
    head: frame.toString('latin1', 13, end),
    body: frame.toString('latin1', end),
  };
}

export function answerFrame(of: {
  kind?: number;
  call?: number;
  cpuUs?: number;
  status?: number;
  head?: string;
  body?: string;
}): Buffer {
  const { kind = FrameKind.Done, call = 0, cpuUs = 0, status = 200, head = '', body = '' } = of;
  const prefix = Buffer.alloc(19);
  prefix.writeUInt32BE(15 + head.length + body.length, 0);
  prefix[4] = kind;
  prefix.writeUInt32BE(call, 5);
  prefix.writeUInt32BE(cpuUs, 9);
  prefix.writeUInt16BE(status, 13);
  prefix.writeUInt32BE(head.length, 15);
  return Buffer.concat([prefix, Buffer.from(head + body, 'latin1')]);
}
