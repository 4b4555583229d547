import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { ClaimedEvent, ClaimOptions } from '../../store/events.js';
import type { Store } from '../../store/main.js';
import { createEvents, type Events } from './main.js';

const AWAY = Object.assign(new Error('away'), { code: 'ECONNREFUSED' });

let asked: string[];
let away: boolean;
let events: Events;
/** Calls of a tenant that wait: there is no end of them. */
let flooded: boolean;
let begun: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  [asked, away, flooded, begun] = [[], false, false, 0];
  let last = 0;
  /** A database that answers, or does not, and has nothing. */
  const answers =
    <T>(name: string, value: T) =>
    async () => {
      asked.push(name);
      if (away) throw AWAY;
      return value;
    };
  const store = {
    events: {
      claim: async ({ room, share, shares, running }: ClaimOptions) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (!flooded) return [];
        const may = Math.min(room, (shares.get('acme') ?? share) - (running.get('acme') ?? 0));
        return Array.from({ length: Math.max(0, may) }, () => claimed(`e${++last}`));
      },
      settle: answers('settle', new Set()),
      claimLost: answers('claimLost', []),
      renew: answers('renew', undefined),
      counts: answers('counts', { due: 0, lag: 0, dead: 0 }),
    },
    schedules: { all: answers('all', { schedules: [], now: new Date() }) },
  };
  events = createEvents({
    store: store as unknown as Pick<Store, 'events' | 'schedules'>,
    concurrency: 16,
    url: 'http://127.0.0.1:8080',
    routers: {
      // One runs, for longer than the test.
      ask: async () =>
        ++begun === 1
          ? await new Promise<never>(() => {})
          : { refused: { code: 'QUOTA_EXCEEDED', message: 'as many run as may' } },
    },
    functions: () => [],
    find: () => undefined,
    refresh: async () => {},
    tenant: () => undefined,
    waiting: () => 0,
    record: () => {},
    onEnded: () => {},
    onRetry: () => {},
    now: Date.now,
    onError: (error) => {
      throw error;
    },
  });
  events.start();
});

afterEach(async () => {
  await events.stop();
  vi.useRealTimers();
});

function claimed(id: string): ClaimedEvent {
  const request = {
    method: 'POST',
    path: '/',
    headers: [],
    body: Buffer.alloc(0),
    caller: null,
    address: '',
  };
  const fn = { name: 'f', keepsLogs: true };
  const of = { tenant: 'acme', functionId: 'f', requestId: 'r', request, tick: null, fn };
  return { id, trigger: 'async', executedAt: new Date(), ageMs: 0, attempts: 1, ...of };
}

/** Whether what other nodes have left was asked for within that time. */
async function takesOverWithin(ms: number): Promise<boolean> {
  asked.length = 0;
  await vi.advanceTimersByTimeAsync(ms);
  return asked.includes('claimLost');
}

it('takes over what a node has left that is gone, but for the time after the database was away for all', async () => {
  expect(await takesOverWithin(5_000)).toBe(true);
  expect(await takesOverWithin(5_000)).toBe(true);
  away = true;
  await vi.advanceTimersByTimeAsync(25_000);
  away = false;
  expect(await takesOverWithin(7_000)).toBe(false);
  expect(asked).toContain('renew');
  expect(await takesOverWithin(10_000)).toBe(true);
});

it('does not begin over and over what its tenant’s quota refuses', async () => {
  flooded = true;
  events.routerUp(1);
  await vi.advanceTimersByTimeAsync(500);
  // Half of the places, and one of them has been given to the call that runs.
  expect(begun).toBe(8);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(begun).toBeGreaterThan(8);
  expect(begun).toBeLessThan(15);
});
