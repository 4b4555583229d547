/** How long an idle process lives: a pure decision. */

/** ms; a fixed window, as Fluxbase's and OpenFaaS's idlers have. */
export const KEEP_ALIVE_MS = 10 * 60_000;

export function isExpired(idleSince: number, now: number, keepAliveMs: number): boolean {
  return now - idleSince >= keepAliveMs;
}
