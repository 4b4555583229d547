/** Who is asking: credentials from a request's headers, verified once and remembered by their bytes. */
import { timingSafeEqual } from 'node:crypto';
import { decodeJwt, jwtVerify } from 'jose';
import { HearthError } from '../errors.js';
import type { Principal } from './principal.js';
import type { TenantEntry, TenantTable } from './tenants.js';

/** The headers that can carry a credential, as they came. */
export interface Credentials {
  authorization: string | undefined;
  apikey: string | undefined;
  serviceKey: string | undefined;
  apiKey: string | undefined;
  adminKey: string | undefined;
}

export interface Authenticator {
  /**
   * Null: no credential. Synchronous when it has been verified before. Rejects with UNAUTHENTICATED.
   *
   * @param tenant the tenant that the host or the path names; null where the credential's own is meant.
   * @param address the client's.
   */
  authenticate(
    credentials: Credentials,
    tenant: string | null,
    address: string,
  ): Principal | null | Promise<Principal>;
}

/** Seconds by which clocks may differ when `exp` and `nbf` are checked. */
export const CLOCK_TOLERANCE_S = 5;
const MAX_TOKEN_BYTES = 8 * 1024;
const MAX_REMEMBERED = 10_000;

interface Verified {
  principal: Principal;
  /** By whose settings: what was verified counts as long as they do. */
  entry: TenantEntry | null;
  /** Unix ms. */
  until: number;
}

export interface AuthenticatorOptions {
  tenants: TenantTable;
  adminKey: string;
  now(): number;
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const adminKey = Buffer.from(options.adminKey);
  const remembered = new Map<string, Verified>();

  async function verify(token: string, tenant: string | null): Promise<Principal> {
    const given = Buffer.from(token);
    if (given.length === adminKey.length && timingSafeEqual(given, adminKey))
      return { role: 'admin', tenant: null };
    if (given.length > MAX_TOKEN_BYTES) throw unauthenticated('The token is too long.');
    const slug = claimedTenant(token) ?? tenant ?? 'default';
    const entry = options.tenants.bySlug(slug);
    if (entry === undefined) throw unauthenticated('The signature of the token does not verify.');
    const payload = await verifySignature(token, entry);
    const role = payload.role;
    if (role !== 'anon' && role !== 'authenticated' && role !== 'service_role') {
      throw unauthenticated('The token has no role that is known here (anon, authenticated, service_role).');
    }
    const principal: Principal = { role, tenant: slug };
    if (typeof payload.sub === 'string') principal.userId = payload.sub;
    if (typeof payload.email === 'string') principal.userEmail = payload.email;
    const until = payload.exp === undefined ? Number.POSITIVE_INFINITY : payload.exp * 1000;
    remember(token, { principal, entry, until });
    return principal;
  }

  async function verifySignature(token: string, entry: TenantEntry) {
    let failure: unknown;
    for (const { secret, verifies_until } of entry.tenant.jwt_secrets) {
      if (verifies_until !== null && verifies_until.getTime() < options.now()) continue;
      try {
        const { payload } = await jwtVerify(token, new TextEncoder().encode(secret), {
          algorithms: ['HS256'],
          clockTolerance: CLOCK_TOLERANCE_S,
        });
        return payload;
      } catch (error) {
        failure = error;
      }
    }
    throw unauthenticated(explain(failure));
  }

  function remember(token: string, verified: Verified) {
    if (remembered.size >= MAX_REMEMBERED) {
      const oldest = remembered.keys().next().value;
      if (oldest !== undefined) remembered.delete(oldest);
    }
    remembered.set(token, verified);
  }

  return {
    authenticate(credentials, tenant) {
      const token = readToken(credentials);
      if (token === undefined) return null;
      const known = remembered.get(token);
      if (known !== undefined && known.until > options.now() && known.entry?.current !== false)
        return known.principal;
      return verify(token, tenant);
    },
  };
}

/** The tenant that a token says it is of, before anything of it is verified. */
function claimedTenant(token: string): string | null {
  try {
    const { tenant } = decodeJwt(token);
    return typeof tenant === 'string' ? tenant : null;
  } catch {
    return null;
  }
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
