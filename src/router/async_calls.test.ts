import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { functionMeta } from '../../test/support/functions.js';
import { until } from '../../test/support/postgres.js';
import type { NewEvent } from '../store/events.js';
import { createInstruments } from '../telemetry/instruments.js';
import { createRecorder } from '../telemetry/recorder.js';
import { createAsyncCalls } from './async_calls.js';
import { createFunctionEntry } from './function_entry.js';
import { readHeaders } from './headers.js';
import { answerError, toHearthError } from './respond.js';

const MIB = 1024 * 1024;
/** What one tenant's bodies may have together. */
const SHARE_MIB = 16;

let taken: NewEvent[];
let server: Server;
let port: number;
let sockets: Socket[];

/** Takes asynchronous calls of the tenant that the path names. */
beforeEach(async () => {
  [taken, sockets] = [[], []];
  const calls = createAsyncCalls({
    async take(event) {
      taken.push(event);
      return 'taken';
    },
    maxBytes: 10 * MIB,
    onTaken: () => {},
    now: Date.now,
  });
  const instruments = createInstruments(createRecorder());
  const tally = { add: () => {} } as unknown as Parameters<typeof createFunctionEntry>[2];
  let last = 0;
  server = createServer((incoming, outgoing) => {
    const tenant = incoming.url?.slice(1) ?? '';
    const entry = createFunctionEntry(
      functionMeta({ tenant, timeout_seconds: tenant === 'hasty' ? 1 : 300 }),
      instruments,
      tally,
    );
    calls
      .take(incoming, outgoing, {
        headers: readHeaders(incoming.rawHeaders),
        called: { entry, tenant, trigger: 'invoke', path: '/', params: null, trace: null },
        principal: null,
        executionId: String(++last),
        requestId: 'r',
        answerHeaders: [],
      })
      .catch((error: unknown) => answerError(outgoing, toHearthError(error), { requestId: 'r' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** Sends so much of a body that is a byte longer. The status that it is answered with. */
function unfinished(tenant: string, bytes: number): { status(): number | null; destroy(): void } {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(`POST /${tenant} HTTP/1.1\r\nhost: a\r\ncontent-length: ${bytes + 1}\r\n\r\n`);
  socket.write(Buffer.alloc(bytes));
  return {
    status: () => (answer === '' ? null : Number(answer.slice(9, 12))),
    destroy: () => socket.destroy(),
  };
}

function send(tenant: string, bytes = 10): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/${tenant}`, { method: 'POST', body: Buffer.alloc(bytes) });
}

it('has as long for its body as its function may run', async () => {
  const slow = unfinished('hasty', 10);
  await until('the answer', () => slow.status() !== null);
  expect(slow.status()).toBe(400);
  expect(taken).toEqual([]);
});

it('is taken as well while the bodies of another tenant’s calls do not end', async () => {
  const slow = Array.from({ length: 80 }, () => unfinished('a', MIB - 1));
  await until(
    'the refusals',
    () => slow.filter((each) => each.status() === 503).length >= 80 - SHARE_MIB - 1,
  );
  expect((await send('a', MIB / 2)).status).toBe(503);
  expect((await send('b', MIB / 2)).status).toBe(202);
  // What was held for those that have gone is there again.
  for (const each of slow) if (each.status() === null) each.destroy();
  await until('room', async () => (await send('a', MIB / 2)).status === 202);
});
