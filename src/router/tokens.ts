/**
 * Verifies JWTs (RFC 7519): what a tenant's own secrets signed with HS256, and what the holders of the keys in its JWKS
 * signed. Each algorithm is bound to one kind of key, so that no public key is ever taken for a secret (RFC 8725, 3.1).
 */
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import { HearthError } from '../errors.js';
import type { JwtSettings } from '../store/types.js';
import { type JwksSets, REFRESH_MS } from './jwks.js';
import type { Principal } from './principal.js';
import type { Verified } from './remembered.js';
import type { TenantEntry, TenantTable } from './tenants.js';

/** Seconds by which clocks may differ when `exp` and `nbf` are checked. */
export const CLOCK_TOLERANCE_S = 5;
export const MAX_TOKEN_BYTES = 8 * 1024;

/** What a JWKS may verify. */
const PUBLIC_KEY_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
];
const ACCEPTED = 'Tokens are signed with HS256, or where a JWKS is set with RS256, PS256, ES256 or EdDSA.';
/** Keys that are tried for a token that does not name its own. */
const MAX_KEYS_TRIED = 10;

export interface TokenVerifierOptions {
  tenants: TenantTable;
  jwks: JwksSets;
  /** Unix ms. */
  now(): number;
}

/**
 * Whose the token is, and who shows it. Rejects with UNAUTHENTICATED, and with UNAVAILABLE where a JWKS cannot be had.
 *
 * @param asked the tenant that host or path name; null: none.
 */
export type TokenVerifier = (token: string, asked: string | null) => Promise<Verified>;

export function createTokenVerifier({ tenants, jwks, now }: TokenVerifierOptions): TokenVerifier {
  /** The platform's own say whose they are; another's is of the tenant that is asked for, else of the default one. */
  async function verifyOwn(token: string, claims: JWTPayload, asked: string | null): Promise<Verified> {
    const claimed = typeof claims.tenant === 'string' ? claims.tenant : null;
    let failure: HearthError | null = null;
    for (const slug of claimed === null ? new Set([asked ?? 'default', 'default']) : [claimed]) {
      const entry = tenants.bySlug(slug);
      if (entry === undefined) continue;
      try {
        // Who signs for a third party is held to the settings; the platform's own tokens name their tenant instead.
        const { payload, until } = await verifyWithSecrets(token, entry, claimed === null);
        const principal = principalOf(payload, slug, null);
        return { principal, entry, asked: claimed === null ? asked : undefined, until };
      } catch (error) {
        failure ??= explain(error);
      }
    }
    throw failure ?? unauthenticated(BAD_SIGNATURE);
  }

  async function verifyWithSecrets(token: string, { tenant }: TenantEntry, foreign: boolean) {
    let failure: unknown;
    const time = now();
    for (const { secret, verifies_until } of tenant.jwt_secrets) {
      const retires = verifies_until?.getTime() ?? Number.POSITIVE_INFINITY;
      if (retires <= time) continue;
      try {
        const key = new TextEncoder().encode(secret);
        const { payload } = await jwtVerify(token, key, {
          algorithms: ['HS256'],
          ...(foreign ? claimsWanted(tenant.jwt) : {}),
          ...timeOptions(time),
        });
        return { payload, until: Math.min(retires, endOf(payload)) };
      } catch (error) {
        // The signature was good: another secret's would not be.
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  /** Of the tenant that is asked for; else of the only one that has its issuer; else of the default one. */
  async function verifyForeign(token: string, alg: string, claims: JWTPayload, asked: string | null) {
    const ofIssuer = (typeof claims.iss === 'string' ? tenants.byIssuer(claims.iss) : null) ?? 'default';
    let failure: HearthError | null = null;
    for (const slug of new Set([asked ?? ofIssuer, ofIssuer])) {
      const entry = tenants.bySlug(slug);
      const settings = entry?.tenant.jwt;
      if (entry === undefined || settings?.jwks_url === undefined) {
        failure ??= unauthenticated(`The token is signed with ${alg}, and there is no JWKS for it.`);
        continue;
      }
      if (settings.issuer !== undefined && settings.issuer !== claims.iss) {
        failure ??= unauthenticated('The issuer of the token (iss) is not the one that is expected.');
        continue; // without a fetch: whoever sends tokens must not decide whose keys are asked for
      }
      try {
        const payload = await verifyWithSet(token, jwks.at(settings.jwks_url), {
          algorithms: [alg],
          requiredClaims: ['exp'],
          ...claimsWanted(settings),
          ...timeOptions(now()),
        });
        const until = Math.min(endOf(payload), now() + REFRESH_MS); // a key that is withdrawn stops counting
        return { principal: principalOf(payload, slug, 'authenticated'), entry, asked, until };
      } catch (error) {
        const explained = explain(error);
        if (explained.code !== 'UNAUTHENTICATED') throw explained;
        failure ??= explained;
      }
    }
    throw failure ?? unauthenticated(BAD_SIGNATURE);
  }

  return async (token, asked) => {
    const { alg, claims } = read(token);
    if (alg === 'HS256') return await verifyOwn(token, claims, asked);
    if (alg !== undefined && PUBLIC_KEY_ALGORITHMS.includes(alg))
      return await verifyForeign(token, alg, claims, asked);
    throw unauthenticated(ACCEPTED);
  };
}

/** What the token says of itself, before anything of it is verified. */
function read(token: string): { alg: string | undefined; claims: JWTPayload } {
  if (Buffer.byteLength(token) > MAX_TOKEN_BYTES) throw unauthenticated('The token is too long.');
  try {
    return { alg: decodeProtectedHeader(token).alg, claims: decodeJwt(token) };
  } catch {
    throw unauthenticated('The credential is not a valid token.');
  }
}

/** Where several keys fit a token that names none, each is tried. */
async function verifyWithSet(
  token: string,
  set: JWTVerifyGetKey,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, set, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    let tried = 0;
    for await (const key of error) {
      if (++tried > MAX_KEYS_TRIED) break;
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function claimsWanted({ issuer, audience }: JwtSettings): JWTVerifyOptions {
  return { ...(issuer === undefined ? {} : { issuer }), ...(audience === undefined ? {} : { audience }) };
}

function timeOptions(now: number): JWTVerifyOptions {
  return { clockTolerance: CLOCK_TOLERANCE_S, currentDate: new Date(now) };
}

/** Unix ms. */
function endOf({ exp }: JWTPayload): number {
  return exp === undefined ? Number.POSITIVE_INFINITY : (exp + CLOCK_TOLERANCE_S) * 1000;
}

/** @param otherwise the role where the token has none; null: it must have one. */
function principalOf(payload: JWTPayload, tenant: string, otherwise: 'authenticated' | null): Principal {
  const { role = otherwise, sub, email } = payload;
  if (role !== 'anon' && role !== 'authenticated' && role !== 'service_role')
    throw unauthenticated('The token has no role that is known here (anon, authenticated, service_role).');
  const principal: Principal = { role, tenant };
  if (typeof sub === 'string') principal.userId = sub;
  if (typeof email === 'string') principal.userEmail = email;
  return principal;
}

export function unauthenticated(message: string): HearthError {
  return new HearthError('UNAUTHENTICATED', message);
}

const BAD_SIGNATURE = 'The signature of the token does not verify.';

function explain(error: unknown): HearthError {
  if (error instanceof HearthError) return error;
  if (error instanceof errors.JWTExpired) return unauthenticated('The token has expired.');
  if (error instanceof errors.JWTClaimValidationFailed) return unauthenticated(explainClaim(error));
  if (error instanceof errors.JWKSNoMatchingKey)
    return unauthenticated('The token is signed with a key that is not in the JWKS.');
  if (error === undefined || error instanceof errors.JWSSignatureVerificationFailed)
    return unauthenticated(BAD_SIGNATURE);
  return unauthenticated('The credential is not a valid token.');
}

function explainClaim({ claim, reason }: errors.JWTClaimValidationFailed): string {
  if (claim === 'nbf' && reason === 'check_failed') return 'The token is not valid yet (nbf).';
  if (claim === 'iss') return 'The issuer of the token (iss) is not the one that is expected.';
  if (claim === 'aud') return 'The audience of the token (aud) is not the one that is expected.';
  return `The token has no claim ${claim} that is valid.`;
}
