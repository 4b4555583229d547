/** Whether a node may judge by the leases in the database that another one is gone. */

/** ms without an answer after which all nodes may have been cut off as this one was. */
const CUT_OFF_MS = 10_000;
/** ms that those then have to renew their leases: longer than from one renewal to the next. */
const GRACE_MS = 8_000;

/**
 * While the database is away every lease comes to its end, and no node is gone for it: what they run would be begun twice.
 *
 * @returns called when the database has answered, at `now` (ms, steady): whether leases that are over tell of nodes that are gone.
 */
export function createContact(): (now: number) => boolean {
  let heardAt = Number.POSITIVE_INFINITY;
  let trustedFrom = Number.NEGATIVE_INFINITY;
  return (now) => {
    if (now - heardAt > CUT_OFF_MS) trustedFrom = now + GRACE_MS;
    heardAt = now;
    return now >= trustedFrom;
  };
}
