/** What becomes of due work when an attempt is over: pure decisions. docs/events.md tells users of them. */
import type { ErrorCode } from '../../errors.js';
import type { DueTrigger, ExecutionStatus } from '../../store/types.js';

/** How an attempt ended. */
export type AttemptEnd =
  /** The function ran, as far as its execution tells. */
  | { kind: 'ran'; status: ExecutionStatus; statusCode: number | null }
  /** It never began. */
  | { kind: 'refused'; code: ErrorCode; message: string }
  /** A process that had it is gone, or the node stops: nobody knows how far it came. */
  | { kind: 'lost'; message: string };

export type Fate =
  /** `ok`: the function answered, with less than 500. */
  | { to: 'over'; outcome: 'ok' | 'failed' | 'cancelled' }
  /** Given up, and kept for somebody to look at. */
  | { to: 'dead' }
  /** `counts`: whether that was one of the attempts that it has. */
  | { to: 'waiting'; afterMs: number; counts: boolean };

export interface Attempted {
  trigger: DueTrigger;
  /** This one among them. */
  attempts: number;
  /** ms since it was taken. */
  ageMs: number;
}

const HOUR_MS = 3_600_000;
/** Attempts that a call has. */
export const MAX_ATTEMPTS = 4;
/** ms after which what has not begun is given up; a tick is no use by then. */
const MAX_AGE_MS: Record<DueTrigger, number> = { async: 23 * HOUR_MS, database: 23 * HOUR_MS, cron: HOUR_MS };

const FIRST_RETRY_MS = 10_000;
const RETRY_FACTOR = 4;
/** ms after which what was lost is begun again. */
const LOST_MS = 1_000;
const FIRST_POSTPONED_MS = 1_000;
const LAST_POSTPONED_MS = 60_000;

/** @param random from 0 to 1. */
export function fateOf(work: Attempted, end: AttemptEnd, random: number): Fate {
  switch (end.kind) {
    case 'ran':
      return ranFate(work, end, random);
    case 'lost':
      return work.attempts < MAX_ATTEMPTS ? { to: 'waiting', afterMs: LOST_MS, counts: true } : givenUp(work);
    case 'refused':
      return refusedFate(work, end.code, random);
  }
}

function ranFate(work: Attempted, end: AttemptEnd & { kind: 'ran' }, random: number): Fate {
  if (end.status === 'success' && (end.statusCode ?? 200) < 500) return { to: 'over', outcome: 'ok' };
  // It was broken off because the node stops.
  if (end.status === 'cancelled') return fateOf(work, { kind: 'lost', message: '' }, random);
  // The next tick is the next attempt.
  if (work.trigger === 'cron' || work.attempts >= MAX_ATTEMPTS) return givenUp(work);
  return { to: 'waiting', afterMs: retryAfterMs(work.attempts, random), counts: true };
}

function refusedFate(work: Attempted, code: ErrorCode, random: number): Fate {
  const stopped = code === 'FUNCTION_DISABLED' || code === 'FORBIDDEN';
  // A tick that was missed this way is nobody's wish.
  if (stopped && work.trigger === 'cron') return { to: 'over', outcome: 'cancelled' };
  if (isTooOld(work)) return givenUp(work);
  const afterMs = stopped ? LAST_POSTPONED_MS : postponedMs(work.ageMs, random);
  return { to: 'waiting', afterMs, counts: false };
}

/** Whether it is not worth to begin any more. */
export function isTooOld({ trigger, ageMs }: Pick<Attempted, 'trigger' | 'ageMs'>): boolean {
  return ageMs >= MAX_AGE_MS[trigger];
}

/** A tick has its execution to tell of it, and its successor; a call that somebody made is kept. */
function givenUp({ trigger }: Attempted): Fate {
  return trigger === 'cron' ? { to: 'over', outcome: 'failed' } : { to: 'dead' };
}

/** Exponential, with up to half as much again, so that what failed together does not come back together. */
export function retryAfterMs(attempts: number, random: number): number {
  return FIRST_RETRY_MS * RETRY_FACTOR ** (attempts - 1) * (1 + random / 2);
}

/** What found no place waits as long again as it has waited, between a second and a minute. */
function postponedMs(ageMs: number, random: number): number {
  const ms = Math.min(LAST_POSTPONED_MS, Math.max(FIRST_POSTPONED_MS, ageMs / 2));
  return ms * (1 + random / 2);
}

/**
 * How many may be begun now. Where calls wait for slots, due work makes room for them: a quarter goes on, so that it
 * does not stand still for ever.
 *
 * @param waiting calls that wait on this node.
 */
export function roomFor(concurrency: number, running: number, waiting: number): number {
  const allowed = waiting === 0 ? concurrency : Math.ceil(concurrency / 4);
  return Math.max(0, allowed - running);
}

/** Half of the node's places, so that there is always one for another tenant. */
export function shareOf(concurrency: number): number {
  return Math.ceil(concurrency / 2);
}
