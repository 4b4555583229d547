/** Who is asking: credentials from a request's headers, verified once and remembered by their bytes. */
import { timingSafeEqual } from 'node:crypto';
import { jwtVerify } from 'jose';
import { HearthError } from '../errors.js';
import type { Principal, Role } from './principal.js';

/** The headers that can carry a credential, as they came. */
export interface Credentials {
  authorization: string | undefined;
  apikey: string | undefined;
  serviceKey: string | undefined;
  apiKey: string | undefined;
  adminKey: string | undefined;
}

export interface Authenticator {
  /** Null: no credential. Synchronous when it has been verified before. Rejects with UNAUTHENTICATED. */
  authenticate(credentials: Credentials): Principal | null | Promise<Principal>;
}

/** Seconds by which clocks may differ when `exp` and `nbf` are checked. */
export const CLOCK_TOLERANCE_S = 5;
const MAX_TOKEN_BYTES = 8 * 1024;
const MAX_REMEMBERED = 10_000;

interface Verified {
  principal: Principal;
  /** Unix ms. */
  until: number;
}

export function createAuthenticator(options: { jwtSecret: string; adminKey: string }): Authenticator {
  const secret = new TextEncoder().encode(options.jwtSecret);
  const adminKey = Buffer.from(options.adminKey);
  const remembered = new Map<string, Verified>();

  function authenticate(credentials: Credentials): Principal | null | Promise<Principal> {
    const token = readToken(credentials);
    if (token === undefined) return null;
    const known = remembered.get(token);
    if (known !== undefined && known.until > Date.now()) return known.principal;
    return verify(token);
  }

  async function verify(token: string): Promise<Principal> {
    const given = Buffer.from(token);
    if (given.length === adminKey.length && timingSafeEqual(given, adminKey))
      return { role: 'admin', tenant: null };
    if (given.length > MAX_TOKEN_BYTES) throw unauthenticated('The token is too long.');
    const { payload } = await jwtVerify(token, secret, {
      algorithms: ['HS256'],
      clockTolerance: CLOCK_TOLERANCE_S,
    }).catch((error: unknown) => {
      throw unauthenticated(explain(error));
    });
    const role = payload.role;
    if (role !== 'anon' && role !== 'authenticated' && role !== 'service_role') {
      throw unauthenticated('The token has no role that is known here (anon, authenticated, service_role).');
    }
    const principal: Principal = { role: role satisfies Role, tenant: 'default' };
    if (typeof payload.sub === 'string') principal.userId = payload.sub;
    if (typeof payload.email === 'string') principal.userEmail = payload.email;
    remember(token, principal, payload.exp === undefined ? Number.POSITIVE_INFINITY : payload.exp * 1000);
    return principal;
  }

  function remember(token: string, principal: Principal, until: number) {
    if (remembered.size >= MAX_REMEMBERED) {
      const oldest = remembered.keys().next().value;
      if (oldest !== undefined) remembered.delete(oldest);
    }
    remembered.set(token, { principal, until });
  }

  return { authenticate };
}

/** The first credential that is there decides. */
function readToken(credentials: Credentials): string | undefined {
  const { authorization } = credentials;
  if (authorization !== undefined && /^bearer /i.test(authorization)) return authorization.slice(7).trim();
  return credentials.serviceKey ?? credentials.apiKey ?? credentials.adminKey ?? credentials.apikey;
}

function unauthenticated(message: string): HearthError {
  return new HearthError('UNAUTHENTICATED', message);
}

function explain(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ERR_JWT_EXPIRED':
      return 'The token has expired.';
    case 'ERR_JWT_CLAIM_VALIDATION_FAILED':
      return 'The token is not valid yet, or a claim in it does not fit.';
    case 'ERR_JOSE_ALG_NOT_ALLOWED':
      return 'The token is not signed with HS256.';
    case 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED':
      return 'The signature of the token does not verify.';
    default:
      return 'The credential is not a valid token.';
  }
}
