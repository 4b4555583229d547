import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerFrame, type FramePeer, startFramePeer } from '../../test/support/frame_peer.js';
import { FrameKind } from '../supervisor/protocol.js';
import { headerList } from './answer_head.js';
import { NO_POLL } from './busy_poll.js';
import { Channel, fitsFrame } from './channel.js';
import { Crowd } from './crowd.js';

let dir: string;
let peer: FramePeer;
let channel: Channel;
let crowd: Crowd;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hearth-test-'));
  peer = await startFramePeer(dir);
  crowd = new Crowd(1, NO_POLL);
  crowd.connections = 1;
  channel = new Channel(peer.sockets, crowd);
});

afterEach(() => {
  channel.destroy();
  peer.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Outcome {
  kind: number;
  cpuUs: number;
  status: number;
  headers: readonly string[];
  body: string;
}

function send(head: string, body = ''): { number: number; outcome: Promise<Outcome | 'seen' | 'unseen'> } {
  let number = 0;
  const outcome = new Promise<Outcome | 'seen' | 'unseen'>((resolve) => {
    number = channel.send(head, body, {
      afterAnswer: () => {},
      onAnswer: (kind, cpuUs, status, head, bytes) =>
        resolve({ kind, cpuUs, status, headers: headerList(head), body: bytes.toString('latin1') }),
      onLost: (unseen) => resolve(unseen ? 'unseen' : 'seen'),
    });
  });
  return { number, outcome };
}

describe('a channel', () => {
  it('carries calls there and their answers back, in any order', async () => {
    const socket = await peer.connected;
    const first = send('GET\nhttp://a/\nid', '');
    const second = send('POST\nhttp://b/\nid\nx-a\n\u00e9', '\u0000\u00ff');
    await peer.arrived(2);
    expect(peer.received).toEqual([
      { kind: FrameKind.Call, call: first.number, head: 'GET\nhttp://a/\nid', body: '' },
      {
        kind: FrameKind.Call,
        call: second.number,
        head: 'POST\nhttp://b/\nid\nx-a\n\u00e9',
        body: '\u0000\u00ff',
      },
    ]);
    socket.write(
      answerFrame({ call: second.number, status: 201, cpuUs: 70_000, head: 'a\nb\nc\nd', body: 'two' }),
    );
    socket.write(answerFrame({ call: first.number, kind: FrameKind.More, body: '\u00ff' }));
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

  it('writes the calls of one turn together, while the process has others', async () => {
    await peer.connected;
    send('GET\nhttp://a/first\nid');
    await peer.arrived(1);
    const before = peer.chunks();
    for (let call = 0; call < 20; call++) send(`GET\nhttp://a/${call}\nid`);
    await peer.arrived(21);
    expect(peer.chunks() - before).toBe(1);
  });

  it('gives a process that has no call the first one at once', async () => {
    await peer.connected;
    const before = peer.chunks();
    // After a timer sockets are read before what is left for the end of the turn is written.
    await new Promise((resolve) => setTimeout(resolve, 0));
    for (let call = 0; call < 3; call++) send(`GET\nhttp://a/${call}\nid`);
    await peer.arrived(3);
    expect(peer.chunks() - before).toBe(2);
  });

  it.each([
    { connections: 0, chunks: 2, how: 'a few calls at once while the router has few connections' },
    { connections: 1, chunks: 1, how: 'all calls of a turn together once it has many' },
  ])('writes $how', async ({ connections, chunks }) => {
    await peer.connected;
    crowd.connections = connections;
    send('GET\nhttp://a/first\nid');
    await peer.arrived(1);
    const before = peer.chunks();
    // After a timer sockets are read before what is left for the end of the turn is written.
    await new Promise((resolve) => setTimeout(resolve, 0));
    for (let call = 0; call < 6; call++) send(`GET\nhttp://a/${call}\nid`);
    await peer.arrived(7);
    expect(peer.chunks() - before).toBe(chunks);
  });

  it('reads answers that come byte by byte', async () => {
    const socket = await peer.connected;
    const call = send('GET\nhttp://a/\nid');
    await peer.arrived(1);
    for (const byte of answerFrame({ call: call.number, head: 'a\nb', body: 'slow' })) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await call.outcome).toMatchObject({ headers: ['a', 'b'], body: 'slow' });
  });

  it('tells the process of a call that was given up, and forgets its answer', async () => {
    const socket = await peer.connected;
    const given = send('GET\nhttp://a/\nid');
    const other = send('GET\nhttp://b/\nid');
    await peer.arrived(2);
    channel.abort(given.number);
    await peer.arrived(3);
    expect(peer.received[2]).toMatchObject({ kind: FrameKind.Abort, call: given.number });
    socket.write(answerFrame({ call: given.number, body: 'late' }));
    socket.write(answerFrame({ call: other.number, body: 'kept' }));
    expect(await other.outcome).toMatchObject({ body: 'kept' });
    expect(await Promise.race([given.outcome, 'nothing'])).toBe('nothing');
  });
});

describe('HTTP', () => {
  it('is asked for once, before the first call over it', async () => {
    await peer.connected;
    channel.openHttp();
    channel.openHttp();
    const call = send('GET\nhttp://a/\nid');
    await peer.arrived(2);
    expect(peer.received.map((frame) => [frame.kind, frame.call])).toEqual([
      [FrameKind.Http, 0],
      [FrameKind.Call, call.number],
    ]);
  });
});

describe('when the process ends', () => {
  it('calls beyond its progress were not seen', async () => {
    const socket = await peer.connected;
    const calls = [send('GET\nhttp://a/\nid'), send('GET\nhttp://b/\nid'), send('GET\nhttp://c/\nid')];
    await peer.arrived(3);
    peer.progressTo(calls[1]?.number ?? 0);
    // The channel opens the progress file when it gets round to it.
    while (channel.unseen() !== 1) await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    expect(await Promise.all(calls.map(({ outcome }) => outcome))).toEqual(['seen', 'seen', 'unseen']);
    expect(channel.usable).toBe(false);
    expect(await send('GET\nhttp://d/\nid').outcome).toBe('unseen');
  });

  it('every call that was written counts as seen where there is no progress to read', async () => {
    const silent = await startFramePeer(mkdtempSync(join(dir, 'silent-')));
    rmSync(silent.sockets.progress);
    channel.destroy();
    channel = new Channel(silent.sockets, crowd);
    const socket = await silent.connected;
    const call = send('GET\nhttp://a/\nid');
    await silent.arrived(1);
    socket.destroy();
    expect(await call.outcome).toBe('seen');
    silent.close();
  });

  it('no call was seen that nobody was there for', async () => {
    channel.destroy();
    channel = new Channel({ ...peer.sockets, frames: join(dir, 'nobody') }, crowd);
    expect(await send('GET\nhttp://a/\nid').outcome).toBe('unseen');
  });

  it.each([
    ['a frame that is too long', Buffer.from([255, 0, 0, 0, 4])],
    ['a frame that is too short', Buffer.from([0, 0, 0, 1, 4])],
    ['a head longer than its frame', answerFrame({ call: 1, head: 'a\nb' }).fill(255, 15, 19)],
  ])('%s ends it for the router', async (_, bytes) => {
    const socket = await peer.connected;
    const call = send('GET\nhttp://a/\nid');
    await peer.arrived(1);
    peer.progressTo(call.number);
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
