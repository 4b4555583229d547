/** Where the time of one call goes, for its `server-timing` header. Kept for callers with a service credential alone. */
import type { LoadStages } from '../supervisor/protocol.js';

export interface CallTiming {
  /** The call asks for a slot, and has to wait for one. */
  asked(): void;
  /** It has one. */
  granted(): void;
  /** Its process has loaded the module for it. */
  loaded(stages: LoadStages): void;
  /** The header's value (W3C Server Timing, 3): stages that took part, in their order, in ms. */
  header(): string;
}

/** @param now ms of a clock that only runs forwards. */
export function createCallTiming(now: () => number): CallTiming {
  const began = now();
  let askedAt = 0;
  let queueMs: number | null = null;
  let stages: LoadStages | null = null;
  /** Since when the function itself works. */
  let working = began;

  return {
    asked() {
      askedAt = now();
    },
    granted() {
      working = now();
      if (askedAt > 0) queueMs = (queueMs ?? 0) + working - askedAt;
      askedAt = 0;
    },
    loaded(took) {
      stages = took;
    },
    header() {
      const end = now();
      const parts: [string, number][] = [];
      if (queueMs !== null) parts.push(['queue', queueMs]);
      let loading = 0;
      if (stages !== null) {
        parts.push(['process', stages.processMs], ['code', stages.codeMs]);
        parts.push(['environment', stages.environmentMs], ['import', stages.importMs]);
        loading = stages.environmentMs + stages.importMs;
      }
      // A loading process gets its call at once: what is left is the function's, and the way there and back.
      parts.push(['function', Math.max(0, end - working - loading)], ['total', end - began]);
      return parts.map(([name, ms]) => `${name};dur=${ms.toFixed(2)}`).join(', ');
    },
  };
}
