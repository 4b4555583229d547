/**
 * The header fields of draft-ietf-httpapi-ratelimit-headers (version 11): `RateLimit-Policy` says what is allowed,
 * `RateLimit` what is left of it. Both are lists of strings with parameters (RFC 9651).
 */
import type { Budget } from './budgets.js';

/** One of the limits that a call is counted against. */
export interface Policy {
  name: 'caller' | 'minute' | 'day' | 'concurrent';
  budget: Budget;
}

/**
 * Names and values by turns. `r` is what this router holds and what the node had besides when it last asked: what other
 * routers and nodes have been granted since is not known here.
 */
export function rateLimitFields(policies: readonly Policy[], now: number): string[] {
  let rules = '';
  let state = '';
  for (const { name, budget } of policies) {
    const { spec, deniedUntil } = budget;
    const separator = rules === '' ? '' : ', ';
    if (spec.windowMs === null) {
      rules += `${separator}"${name}";q=${spec.limit};qu="concurrent-requests"`;
      state += `${separator}"${name}";r=${budget.tokens + budget.left}`;
      continue;
    }
    rules += `${separator}"${name}";q=${spec.limit};w=${spec.windowMs / 1000}`;
    const denied = deniedUntil > now;
    const left = denied || now >= budget.endsAt ? 0 : budget.tokens + budget.left;
    const end = denied ? deniedUntil : budget.endsAt;
    state += `${separator}"${name}";r=${left};t=${secondsUntil(end, now)}`;
  }
  return ['ratelimit-policy', rules, 'ratelimit', state];
}

/** Whole seconds, 1 at least. */
export function secondsUntil(time: number, now: number): number {
  return Math.max(1, Math.ceil((time - now) / 1000));
}
