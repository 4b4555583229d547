/** When a call came to what it waits for: for its caller's `server-timing` header, and for its spans. */
import type { ProcessLease } from './leases.js';

/** Of performance.now(); 0 for what did not happen. */
export interface CallTimes {
  readonly began: number;
  /** A slot was asked for that this router did not hold. */
  asked: number;
  granted: number;
  /** Whose process had to load its module for it; null where it was loaded. */
  loading: Pick<ProcessLease, 'stages'> | null;
  /** When it had, as far as is known here. */
  loaded: number;
}

export function newCallTimes(began: number): CallTimes {
  return { began, asked: 0, granted: 0, loading: null, loaded: 0 };
}

/** The first time counts: a call that no process has seen asks again. */
export function noteAsked(times: CallTimes, at: number): void {
  if (times.asked === 0) times.asked = at;
}

/** @param loading the lease of its slot, where its process loads yet. */
export function noteGranted(times: CallTimes, at: number, loading: CallTimes['loading']): void {
  times.granted = at;
  times.loading = loading;
  times.loaded = 0;
}

/**
 * The value of `server-timing` (W3C Server Timing, 3): the stages that took part, in their order, in ms.
 *
 * @param now when the answer begins.
 */
export function serverTiming({ began, asked, granted, loading }: CallTimes, now: number): string {
  const parts: [string, number][] = [];
  if (asked > 0) parts.push(['queue', granted - asked]);
  let loadMs = 0;
  const stages = loading?.stages ?? null;
  if (stages !== null) {
    const { processMs, codeMs, environmentMs, importMs } = stages;
    parts.push(
      ['process', processMs],
      ['code', codeMs],
      ['environment', environmentMs],
      ['import', importMs],
    );
    loadMs = environmentMs + importMs;
  }
  // A loading process gets its call at once: what is left is the function's, and the way there and back.
  parts.push(['function', Math.max(0, now - granted - loadMs)], ['total', now - began]);
  return parts.map(([name, ms]) => `${name};dur=${ms.toFixed(2)}`).join(', ');
}
