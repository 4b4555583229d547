/** What becomes of a call whose process loads its module yet: the test plays the process and the supervisor. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerFrame, type FramePeer, startFramePeer } from '../../test/support/frame_peer.js';
import { functionMeta } from '../../test/support/functions.js';
import { Roster, type ToSupervisor } from '../supervisor/protocol.js';
import { NO_POLL } from './busy_poll.js';
import { Call, type CallContext, type Running } from './call.js';
import type { CallDescription } from './call_description.js';
import { ClientAnswer } from './client_answer.js';
import { Crowd } from './crowd.js';
import { createLeases, type Leases } from './leases.js';

const FN = functionMeta({ id: 'f', timeout_seconds: 30 });
const PROCESS = 7;

let dir: string;
let peer: FramePeer;
let leases: Leases;
let server: Server<typeof IncomingMessage, typeof ClientAnswer>;
let url: string;
let told: ToSupervisor[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hearth-test-'));
  peer = await startFramePeer(dir);
  told = [];
  leases = createLeases((message) => told.push(message), new Crowd(1, NO_POLL));
  const context: CallContext = {
    leases,
    notes: { done: () => {}, handOver: () => {}, flush: async () => {}, stop: async () => {} },
    running: new Roster<Running>(),
    maxRequestBytes: 1024,
    maxResponseBytes: 1024,
    overdue: () => {},
    failed: () => {},
    now: Date.now,
  };
  server = createServer({ ServerResponse: ClientAnswer }, (incoming, outgoing) => {
    const call: CallDescription = {
      fn: FN,
      series: { finished: () => {}, refused: () => {} },
      trigger: 'http',
      executionId: 'e',
      requestId: 'e',
      url: 'http://localhost/',
      hasBody: false,
      framedBody: 0,
      headers: [],
      answerHeaders: ['x-request-id', 'e', 'x-execution-id', 'e'],
      times: null,
      tellsTimes: false,
      trace: null,
    };
    new Call(context, call, incoming, outgoing).start();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

afterEach(() => {
  leases.stop();
  peer.close();
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

/** The call has been sent to a process that loads. */
async function sentEarly(): Promise<{ answer: Promise<Response>; call: number }> {
  const answer = fetch(url);
  await until(() => asked() === 1);
  leases.handle({
    t: 'grant',
    call: 1,
    slots: 2,
    loaded: false,
    to: { process: PROCESS, sockets: peer.sockets, token: '', functionId: 'f', version: 1, secrets: false },
  });
  await peer.arrived(1);
  return { answer, call: peer.received[0]?.call ?? 0 };
}

/** The process ends, and the router sees its connection close. */
async function processEnds(): Promise<void> {
  const slot = leases.take('f', 1);
  if (slot === null) throw new Error('the second slot is not free');
  (await peer.connected).destroy();
  await until(() => !slot.lease.channel.usable);
  leases.free(slot, false);
}

const stages = { processMs: 0, codeMs: 0, environmentMs: 0, importMs: 0 };
const asked = () => told.filter(({ t }) => t === 'acquire').length;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('a call in a process that loads', () => {
  it('is answered by it, whether or not the supervisor has said by then that it has loaded', async () => {
    const { answer, call } = await sentEarly();
    (await peer.connected).write(answerFrame({ call, body: 'early' }));
    expect(await (await answer).text()).toBe('early');
  });

  it('is not made again where the process had loaded before it ended', async () => {
    const { answer, call } = await sentEarly();
    peer.progressTo(call);
    await processEnds();
    leases.handle({ t: 'loaded', process: PROCESS, stages });
    leases.handle({ t: 'gone', process: PROCESS, reason: 'exit' });
    const { status } = await answer;
    expect([status, asked()]).toEqual([502, 1]);
  });

  it('is not made again where nobody says what became of the process', async () => {
    const { answer, call } = await sentEarly();
    peer.progressTo(call);
    await processEnds();
    const { status } = await answer;
    expect([status, asked()]).toEqual([502, 1]);
  });

  it('gets the error of a module that failed to load', async () => {
    const { answer } = await sentEarly();
    await processEnds();
    const thrown = { name: 'Error', message: 'no', stack: null };
    const denial = { code: 'FUNCTION_ERROR', message: 'It failed to load.', thrown } as const;
    leases.handle({ t: 'load-failed', process: PROCESS, denial });
    const { status } = await answer;
    expect([status, asked()]).toEqual([500, 1]);
  });

  it('goes to another process where the supervisor says that one can serve it', async () => {
    const { answer } = await sentEarly();
    leases.handle({ t: 'load-failed', process: PROCESS, denial: null });
    await until(() => asked() === 2);
    leases.handle({ t: 'deny', call: 2, denial: { code: 'OVERLOADED', message: 'Full.', retryAfter: 1 } });
    expect((await answer).status).toBe(503);
  });
});
