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
  const verdicts = new Map<number, Verified & { token: string }>();
  return {
    get(token, asked, now) {
      const known = verdicts.get(placeOf(token));
      if (known === undefined || known.token !== token || known.until <= now || !known.entry.current)
        return undefined;
      return known.asked === undefined || known.asked === asked ? known : undefined;
    },
    add(token, verified) {
      const place = placeOf(token);
      if (verdicts.size >= max && !verdicts.has(place)) {
        const oldest = verdicts.keys().next().value;
        if (oldest !== undefined) verdicts.delete(oldest);
      }
      verdicts.set(place, { ...verified, token });
    },
  };
}

/**
 * By the end of its signature, which is as good as random: to hash a token costs more than all else here. Of two with
 * the same end, the last one verified is remembered.
 */
function placeOf(token: string): number {
  let place = 0;
  for (let at = Math.max(0, token.length - 6); at < token.length; at++)
    place = (place * 64 + (token.charCodeAt(at) & 63)) & 0x3fffffff;
  return place;
}
