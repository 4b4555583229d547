/** Who is asking: the credential of a request's headers, be it the admin key, an API or service key, or a token. */
import { timingSafeEqual } from 'node:crypto';
import { looksLikeKey } from '../tokens.js';
import type { Keyring } from './keyring.js';
import type { Principal } from './principal.js';
import type { Remembered } from './remembered.js';
import type { TokenVerifier } from './tokens.js';

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
   * Null: no credential. Synchronous when it has been verified before. Rejects with UNAUTHENTICATED; with FORBIDDEN where
   * the key may not be used from there; with UNAVAILABLE where the verdict needs what cannot be had at the moment.
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

export interface AuthenticatorOptions {
  verifyToken: TokenVerifier;
  remembered: Remembered;
  keyring: Keyring;
  adminKey: string;
  /** Unix ms. */
  now(): number;
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { remembered, keyring } = options;
  const adminKey = Buffer.from(options.adminKey);

  async function verify(text: string, tenant: string | null): Promise<Principal> {
    const given = Buffer.from(text);
    if (given.length === adminKey.length && timingSafeEqual(given, adminKey))
      return { role: 'admin', tenant: null };
    const verified = await options.verifyToken(text, tenant);
    remembered.add(text, verified);
    return verified.principal;
  }

  return {
    authenticate(credentials, tenant, address) {
      const text = readCredential(credentials);
      if (text === undefined) return null;
      if (looksLikeKey(text)) return keyring.authenticate(text, address);
      return remembered.get(text, tenant, options.now())?.principal ?? verify(text, tenant);
    },
  };
}

/** The first credential that is there decides. */
function readCredential(credentials: Credentials): string | undefined {
  const { authorization } = credentials;
  if (authorization !== undefined && /^bearer /i.test(authorization)) return authorization.slice(7).trim();
  return credentials.serviceKey ?? credentials.apiKey ?? credentials.adminKey ?? credentials.apikey;
}
