/** What processes call the platform with: a short-lived anon token, and the anon key of their tenant. */
import { signKey, signToken } from '../tokens.js';

export interface AnonKey {
  /** What it was signed with. */
  secret: string;
  key: string;
}

export interface ProcessTokens {
  /** Good for TOKEN_LIFE_S. */
  tokenOf(tenant: string): string;
  /** The same for all of a tenant's processes, as long as its secret is. */
  anonKeyOf(tenant: string): string;
  /** From now on this is the tenant's anon key. */
  keep(tenant: string, key: AnonKey): void;
  forget(tenant: string): void;
}

export interface ProcessTokensOptions {
  /** What the tenant's tokens are signed with; undefined: there is no such tenant. */
  secretOf(tenant: string): string | undefined;
  /** Unix ms. */
  now(): number;
}

/** Seconds that a process's own token is good for; half of it later it gets a new one. */
export const TOKEN_LIFE_S = 3_600;

export function createProcessTokens(options: ProcessTokensOptions): ProcessTokens {
  /** Of tenants that have or had a process here. */
  const anonKeys = new Map<string, AnonKey>();
  const seconds = () => Math.floor(options.now() / 1000);

  function secretOf(tenant: string): string {
    const secret = options.secretOf(tenant);
    if (secret === undefined) throw new Error(`there is no tenant ${tenant}`);
    return secret;
  }

  return {
    tokenOf(tenant) {
      const iat = seconds();
      return signToken(secretOf(tenant), { role: 'anon', tenant, iat, exp: iat + TOKEN_LIFE_S });
    },
    anonKeyOf(tenant) {
      const secret = secretOf(tenant);
      let known = anonKeys.get(tenant);
      if (known?.secret !== secret) {
        known = { secret, key: signKey(secret, 'anon', tenant, seconds()) };
        anonKeys.set(tenant, known);
      }
      return known.key;
    },
    keep: (tenant, key) => anonKeys.set(tenant, key),
    forget: (tenant) => anonKeys.delete(tenant),
  };
}
