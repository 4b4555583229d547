import { beforeEach, expect, it } from 'vitest';
import type { ClaimedEvent } from '../../store/events.js';
import type { SettledEvent } from '../../store/events_settle.js';
import type { Execution } from '../../store/types.js';
import type { DueOutcome } from '../protocol.js';
import { createRunning, type Running } from './running.js';

const HOUR_MS = 3_600_000;

let begun: { resolve(outcome: DueOutcome): void; reject(error: Error): void }[];
let settled: SettledEvent[];
let running: Running;

beforeEach(() => {
  [begun, settled] = [[], []];
  running = createRunning({
    run: () => new Promise((resolve, reject) => begun.push({ resolve, reject })),
    record: ({ execution }) => running.ended(execution),
    settling: { add: (event) => settled.push(event) },
    onFate: () => {},
    url: 'http://127.0.0.1:8080',
    random: () => 0,
  });
});

function claimed(change: Partial<ClaimedEvent> = {}): ClaimedEvent {
  return {
    id: 'e',
    tenant: 'default',
    functionId: 'f',
    trigger: 'async',
    executedAt: new Date(),
    ageMs: 0,
    attempts: 1,
    requestId: 'r',
    request: { method: 'POST', path: '/', headers: [], body: Buffer.alloc(0), caller: null, address: '' },
    tick: null,
    fn: { name: 'f', keepsLogs: true },
    ...change,
  };
}

const execution = { id: 'e', function_id: 'f', status: 'success', status_code: 200 } as Execution;
const row: DueOutcome = { row: { execution, secretsOf: null, complete: true } };

it('is settled once, though it is lost and ends all the same', async () => {
  running.begin(claimed());
  begun[0]?.reject(new Error('the router did not answer'));
  await expect.poll(() => settled).toHaveLength(1);
  running.ended(execution);
  expect(settled).toMatchObject([{ id: 'e', to: 'waiting' }]);
});

it('is the attempt that it is: what becomes of one before it neither ends it nor has it forgotten', async () => {
  running.begin(claimed());
  // Its lease was over, another node took it for lost, and it was claimed here again.
  running.begin(claimed({ attempts: 2 }));
  begun[0]?.reject(new Error('the router did not answer'));
  await Promise.resolve();
  for (const event of settled) running.settled(event);
  expect(running.ids()).toEqual(['e']);
  begun[1]?.resolve(row);
  await expect.poll(() => settled).toMatchObject([{ attempts: 2, to: 'over' }]);
  for (const event of settled) running.settled(event);
  expect(running.ids()).toEqual([]);
});

it('is as old as the database says: the clock of this node does not matter', async () => {
  const tick = { schedule: '* * * * *', at: new Date() };
  const late = new Date(Date.now() - 3 * HOUR_MS);
  running.begin(claimed({ trigger: 'cron', request: null, tick, executedAt: late, ageMs: 1_000 }));
  expect(begun).toHaveLength(1);
  running.begin(claimed({ id: 'old', trigger: 'cron', request: null, tick, ageMs: 3 * HOUR_MS }));
  expect([begun.length, settled]).toMatchObject([1, [{ id: 'old', execution: { status: 'cancelled' } }]]);
});
