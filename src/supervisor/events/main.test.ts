import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Store } from '../../store/main.js';
import { createEvents, type Events } from './main.js';

const AWAY = Object.assign(new Error('away'), { code: 'ECONNREFUSED' });

let asked: string[];
let away: boolean;
let events: Events;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  [asked, away] = [[], false];
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
      claim: answers('claim', []),
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
    routers: { ask: () => Promise.reject(new Error('nothing runs')) },
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
