/** Short-lived tokens that a function gets to call the platform as its caller: minted once per caller, then remembered. */
import { signToken } from '../tokens.js';
import type { Principal } from './principal.js';

/** Seconds that a token is good for; it is renewed at half of that. */
export const TOKEN_LIFE_S = 600;
const MAX_REMEMBERED = 5_000;

export interface TokenMint {
  /** A JWT (HS256) for this tenant with the caller's role; `admin` counts as `service_role`. */
  tokenFor(principal: Principal, tenant: string): string;
}

/** @param secretOf what a tenant's tokens are signed with. */
export function createTokenMint(secretOf: (tenant: string) => string, now: () => number): TokenMint {
  const remembered = new Map<string, { token: string; secret: string; renewAt: number }>();
  return {
    tokenFor(principal, tenant) {
      const role = principal.role === 'admin' ? 'service_role' : principal.role;
      const secret = secretOf(tenant);
      const key = `${tenant} ${role} ${principal.userId ?? ''} ${principal.userEmail ?? ''}`;
      const known = remembered.get(key);
      const time = now();
      if (known !== undefined && known.renewAt > time && known.secret === secret) return known.token;
      const seconds = Math.floor(time / 1000);
      const token = signToken(secret, {
        role,
        tenant,
        ...(principal.userId === undefined ? {} : { sub: principal.userId }),
        ...(principal.userEmail === undefined ? {} : { email: principal.userEmail }),
        iat: seconds,
        exp: seconds + TOKEN_LIFE_S,
      });
      if (remembered.size >= MAX_REMEMBERED) remembered.delete(remembered.keys().next().value ?? '');
      remembered.set(key, { token, secret, renewAt: time + (TOKEN_LIFE_S / 2) * 1000 });
      return token;
    },
  };
}
