/** What was verified lately, by the token's bytes: a second call with the same one costs a look-up. Bounded. */
import type { Principal } from './principal.js';
import type { TenantEntry } from './tenants.js';

export interface Verified {
  principal: Principal;
  /** By whose settings and secrets: what was verified counts as long as they are current. */
  entry: TenantEntry;
  /**
   * The tenant that host or path named when it was verified, null for none: another one may come to another verdict.
   * Undefined where the token itself says whose it is.
   */
  asked: string | null | undefined;
  /** Unix ms: when the verdict is to be made again at the latest. */
  until: number;
}

export interface Remembered {
  /** The verdict, where it still holds for what is asked now. */
  get(token: string, asked: string | null, now: number): Verified | undefined;
  add(token: string, verified: Verified): void;
}

export function createRemembered(max: number): Remembered {
  const verdicts = new Map<string, Verified>();
  return {
    get(token, asked, now) {
      const known = verdicts.get(token);
      if (known === undefined || known.until <= now || !known.entry.current) return undefined;
      return known.asked === undefined || known.asked === asked ? known : undefined;
    },
    add(token, verified) {
      if (verdicts.size >= max && !verdicts.has(token)) {
        const oldest = verdicts.keys().next().value;
        if (oldest !== undefined) verdicts.delete(oldest);
      }
      verdicts.set(token, verified);
    },
  };
}
