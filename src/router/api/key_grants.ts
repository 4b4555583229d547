/** What an API key may pass on: an API key that can do no more, nowhere else and no longer than itself. */
import type { PrincipalKey } from '../principal.js';
import type { KeyFields } from './key_schemas.js';

/** Why the key may not make this one; null: it may. A service key may make any. */
export function grantProblem(own: PrincipalKey | undefined, wanted: KeyFields): string | null {
  if (own === undefined || own.kind === 'service') return null;
  if (wanted.kind === 'service') return 'An API key may not make service keys.';
  const beyond = wanted.scopes.find((scope) => !own.scopes.includes(scope));
  if (beyond !== undefined) return `The API key has not the scope ${beyond}, and may not give it.`;
  if (!isWithin(own.functions, wanted.functions))
    return 'The API key may call only some functions, and may give no others: list them.';
  if (!isWithin(own.sourceRanges, wanted.source_ranges))
    return 'The API key may come only from some addresses, and may allow no others: list them as it has them.';
  const until = wanted.expires_at === null ? Number.POSITIVE_INFINITY : Date.parse(wanted.expires_at);
  if (own.expiresAt !== null && until > own.expiresAt)
    return 'The API key expires, and may make none that lasts longer.';
  return null;
}

/** Null stands for all there are. */
function isWithin(own: readonly string[] | null, wanted: readonly string[] | null): boolean {
  if (own === null) return true;
  return wanted?.every((each) => own.includes(each)) ?? false;
}
