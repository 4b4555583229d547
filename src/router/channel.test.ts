import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FrameKind, PROGRESS_PLACES } from '../supervisor/protocol.js';
import { Channel, fitsFrame } from './channel.js';

interface Frame {
  kind: number;
  call: number;
  head: string;
  body: string;
}

let dir: string;
let server: Server;
let sockets: { http: string; frames: string; progress: string };
let channel: Channel;
/** The process's end, once the router has said hello. */
let peer: Promise<Socket>;
const received: Frame[] = [];
let chunks = 0;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hearth-test-'));
  sockets = { http: '', frames: join(dir, 'f'), progress: join(dir, 'progress') };
  writeFileSync(sockets.progress, Buffer.alloc(4 * PROGRESS_PLACES));
  received.length = 0;
  chunks = 0;
  server = createServer();
  peer = new Promise((resolve) => {
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
            socket.write(answer({ kind: FrameKind.Hello, cpuUs: 3 }));
            resolve(socket);
          } else received.push(readFrame(frame));
        }
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(sockets.frames, resolve));
  channel = new Channel(sockets);
});

afterEach(() => {
  channel.destroy();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

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

function answer(of: {
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

interface Outcome {
  kind: number;
  cpuUs: number;
  status: number;
  headers: string[];
  body: string;
}

function send(head: string, body = ''): { number: number; outcome: Promise<Outcome | 'seen' | 'unseen'> } {
  let number = 0;
  const outcome = new Promise<Outcome | 'seen' | 'unseen'>((resolve) => {
    number = channel.send(head, body, {
      onAnswer: (kind, cpuUs, status, headers, bytes) =>
        resolve({ kind, cpuUs, status, headers, body: bytes.toString('latin1') }),
      onLost: (unseen) => resolve(unseen ? 'unseen' : 'seen'),
    });
  });
  return { number, outcome };
}

async function arrived(frames: number): Promise<void> {
  while (received.length < frames) await new Promise((resolve) => setImmediate(resolve));
}

function progressTo(call: number) {
  const bytes = Buffer.alloc(4 * PROGRESS_PLACES);
  bytes.writeUInt32BE(call, 4 * 3);
  writeFileSync(sockets.progress, bytes);
}

describe('a channel', () => {
  it('carries calls there and their answers back, in any order', async () => {
    const socket = await peer;
    const first = send('GET\nhttp://a/\nid', '');
    const second = send('POST\nhttp://b/\nid\nx-a\n\u00e9', '\u0000\u00ff');
    await arrived(2);
    expect(received).toEqual([
      { kind: FrameKind.Call, call: first.number, head: 'GET\nhttp://a/\nid', body: '' },
      {
        kind: FrameKind.Call,
        call: second.number,
        head: 'POST\nhttp://b/\nid\nx-a\n\u00e9',
        body: '\u0000\u00ff',
      },
    ]);
    socket.write(
      answer({ call: second.number, status: 201, cpuUs: 70_000, head: 'a\nb\nc\nd', body: 'two' }),
    );
    socket.write(answer({ call: first.number, kind: FrameKind.More, body: '\u00ff' }));
    expect(await second.outcome).toEqual({
      kind: FrameKind.Done,
      cpuUs: 70_000,
      status: 201,
      headers: ['a', 'b', 'c', 'd'],
      body: 'two',
    });
    expect(await first.outcome).toEqual({
      kind: FrameKind.More,
      cpuUs: 0,
      status: 200,
      headers: [],
      body: '\u00ff',
    });
  });

  it('writes the calls of one turn together', async () => {
    await peer;
    const before = chunks;
    for (let call = 0; call < 20; call++) send(`GET\nhttp://a/${call}\nid`);
    await arrived(20);
    expect(chunks - before).toBe(1);
  });

  it('reads answers that come byte by byte', async () => {
    const socket = await peer;
    const call = send('GET\nhttp://a/\nid');
    await arrived(1);
    for (const byte of answer({ call: call.number, head: 'a\nb', body: 'slow' })) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await call.outcome).toMatchObject({ headers: ['a', 'b'], body: 'slow' });
  });

  it('tells the process of a call that was given up, and forgets its answer', async () => {
    const socket = await peer;
    const given = send('GET\nhttp://a/\nid');
    const other = send('GET\nhttp://b/\nid');
    await arrived(2);
    channel.abort(given.number);
    await arrived(3);
    expect(received[2]).toMatchObject({ kind: FrameKind.Abort, call: given.number });
    socket.write(answer({ call: given.number, body: 'late' }));
    socket.write(answer({ call: other.number, body: 'kept' }));
    expect(await other.outcome).toMatchObject({ body: 'kept' });
    expect(await Promise.race([given.outcome, 'nothing'])).toBe('nothing');
  });
});

describe('when the process ends', () => {
  it('calls beyond its progress were not seen', async () => {
    const socket = await peer;
    const calls = [send('GET\nhttp://a/\nid'), send('GET\nhttp://b/\nid'), send('GET\nhttp://c/\nid')];
    await arrived(3);
    progressTo(calls[1]?.number ?? 0);
    // The channel opens the progress file when it gets round to it.
    while (channel.unseen() !== 1) await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    expect(await Promise.all(calls.map(({ outcome }) => outcome))).toEqual(['seen', 'seen', 'unseen']);
    expect(channel.usable).toBe(false);
    expect(await send('GET\nhttp://d/\nid').outcome).toBe('unseen');
  });

  it('every call that was written counts as seen where there is no progress to read', async () => {
    await peer;
    channel.destroy();
    rmSync(sockets.progress);
    channel = new Channel(sockets);
    const socket = await new Promise<Socket>((resolve) => server.once('connection', resolve));
    const call = send('GET\nhttp://a/\nid');
    await arrived(1);
    socket.destroy();
    expect(await call.outcome).toBe('seen');
  });

  it('no call was seen that nobody was there for', async () => {
    server.close();
    channel.destroy();
    channel = new Channel({ ...sockets, frames: join(dir, 'nobody') });
    expect(await send('GET\nhttp://a/\nid').outcome).toBe('unseen');
  });

  it.each([
    ['a frame that is too long', Buffer.from([255, 0, 0, 0, 4])],
    ['a frame that is too short', Buffer.from([0, 0, 0, 1, 4])],
    ['a head longer than its frame', answer({ call: 1, head: 'a\nb' }).fill(255, 15, 19)],
  ])('%s ends it for the router', async (_, bytes) => {
    const socket = await peer;
    const call = send('GET\nhttp://a/\nid');
    await arrived(1);
    progressTo(call.number);
    socket.write(bytes);
    expect(await call.outcome).toBe('seen');
    expect(channel.usable).toBe(false);
  });
});

describe('fitsFrame', () => {
  it('has room for a head and a body of 60 KiB together, with what frames them', () => {
    expect(fitsFrame('x'.repeat(1000), 0)).toBe(true);
    expect(fitsFrame('x'.repeat(60 * 1024 - 13), 0)).toBe(true);
    expect(fitsFrame('x'.repeat(60 * 1024 - 13), 1)).toBe(false);
  });
});
