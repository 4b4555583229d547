import { describe, expect, it } from 'vitest';
import { type AttemptEnd, type Attempted, fateOf, isTooOld, MAX_ATTEMPTS, roomFor, shareOf } from './fate.js';

const MINUTE = 60_000;

function work(change: Partial<Attempted> = {}): Attempted {
  return { trigger: 'async', attempts: 1, ageMs: 0, ...change };
}

function ran(status: 'success' | 'error' | 'timeout' | 'cancelled', statusCode: number | null): AttemptEnd {
  return { kind: 'ran', status, statusCode };
}

function refused(code: 'OVERLOADED' | 'FUNCTION_DISABLED' | 'FORBIDDEN' | 'QUOTA_EXCEEDED'): AttemptEnd {
  return { kind: 'refused', code, message: '' };
}

const LOST: AttemptEnd = { kind: 'lost', message: '' };

describe('an attempt whose function answered', () => {
  it.each([200, 204, 302, 404, 422, 499])('is the last one with %i', (status) => {
    for (const trigger of ['async', 'cron'] as const)
      expect(fateOf(work({ trigger }), ran('success', status), 0)).toEqual({ to: 'over', outcome: 'ok' });
  });
});

describe('an attempt that failed', () => {
  const failures = [ran('success', 503), ran('error', 500), ran('error', 502), ran('timeout', 504)];

  it('is followed by another, later each time, and never by all at the same moment', () => {
    for (const end of failures) {
      const waits = [1, 2, 3].map((attempts) => fateOf(work({ attempts }), end, 0));
      expect(waits).toEqual(
        [10_000, 40_000, 160_000].map((afterMs) => ({ to: 'waiting', afterMs, counts: true })),
      );
      expect(fateOf(work(), end, 1)).toEqual({ to: 'waiting', afterMs: 15_000, counts: true });
    }
  });

  it('is the last one, and the call is kept, when there have been as many as there may be', () => {
    for (const end of failures)
      expect(fateOf(work({ attempts: MAX_ATTEMPTS }), end, 0)).toEqual({ to: 'dead' });
  });

  it('is the only one of a tick: the next comes by itself', () => {
    for (const end of failures)
      expect(fateOf(work({ trigger: 'cron' }), end, 0)).toEqual({ to: 'over', outcome: 'failed' });
  });
});

describe('an attempt that was lost with its process, or broken off by a node that stops', () => {
  it.each([
    ['lost', LOST],
    ['broken off', ran('cancelled', null)],
  ])('is made again soon: %s', (_, end) => {
    for (const trigger of ['async', 'cron'] as const)
      expect(fateOf(work({ trigger }), end, 0)).toEqual({ to: 'waiting', afterMs: 1_000, counts: true });
  });

  it('is given up where it takes the node with it each time', () => {
    expect(fateOf(work({ attempts: MAX_ATTEMPTS }), LOST, 0)).toEqual({ to: 'dead' });
    expect(fateOf(work({ trigger: 'cron', attempts: MAX_ATTEMPTS }), LOST, 0)).toEqual({
      to: 'over',
      outcome: 'failed',
    });
  });
});

describe('an attempt that did not begin', () => {
  it('does not count, and waits about as long again as it has waited', () => {
    const waits = [0, 10_000, 20 * MINUTE].map((ageMs) =>
      fateOf(work({ ageMs, attempts: MAX_ATTEMPTS }), refused('OVERLOADED'), 0),
    );
    expect(waits).toEqual(
      [1_000, 5_000, MINUTE].map((afterMs) => ({ to: 'waiting', afterMs, counts: false })),
    );
  });

  it('is given up after a day; a tick, which nobody wants by then, after an hour', () => {
    const full = refused('QUOTA_EXCEEDED');
    expect(fateOf(work({ ageMs: 23 * 60 * MINUTE }), full, 0)).toEqual({ to: 'dead' });
    const tick = work({ trigger: 'cron', ageMs: 60 * MINUTE });
    expect(fateOf(tick, full, 0)).toEqual({ to: 'over', outcome: 'failed' });
    expect([isTooOld(tick), isTooOld({ ...tick, ageMs: 60 * MINUTE - 1 })]).toEqual([true, false]);
    expect(isTooOld({ trigger: 'async', ageMs: 60 * MINUTE })).toBe(false);
  });

  it('waits where the function is disabled or its tenant suspended, but for a tick, which is dropped', () => {
    for (const code of ['FUNCTION_DISABLED', 'FORBIDDEN'] as const) {
      expect(fateOf(work(), refused(code), 0)).toEqual({ to: 'waiting', afterMs: MINUTE, counts: false });
      expect(fateOf(work({ trigger: 'cron' }), refused(code), 0)).toEqual({
        to: 'over',
        outcome: 'cancelled',
      });
    }
  });
});

describe('the room for due work', () => {
  it('is what is left of what may run at once', () => {
    expect([0, 10, 16, 20].map((running) => roomFor(16, running, 0))).toEqual([16, 6, 0, 0]);
    expect(roomFor(0, 0, 0)).toBe(0);
  });

  it('is a quarter of that while calls wait for slots', () => {
    expect([0, 3, 4].map((running) => roomFor(16, running, 1))).toEqual([4, 1, 0]);
    expect(roomFor(1, 0, 1)).toBe(1);
  });

  it('is never all one tenant’s, where there is more than one place', () => {
    expect([1, 2, 3, 16].map(shareOf)).toEqual([1, 1, 2, 8]);
  });
});
