/** Who a request comes from, once its credential has been verified. */

/** An API key has the role `anon`, and what its scopes add. */
export type Role = 'anon' | 'authenticated' | 'service_role' | 'admin';

/** What an API key may be given to do. */
export const SCOPES = [
  'execute:functions',
  'read:functions',
  'write:functions',
  'read:executions',
  'write:secrets',
  'write:keys',
] as const;

export type Scope = (typeof SCOPES)[number];

export function isScope(text: string): text is Scope {
  return (SCOPES as readonly string[]).includes(text);
}

/** The API or service key that was shown. */
export interface PrincipalKey {
  id: string;
  kind: 'api' | 'service';
  scopes: readonly Scope[];
  /** Names of the functions that it may call; null: all. */
  functions: readonly string[] | null;
  /** Addresses and ranges that it may come from; null: any. */
  sourceRanges: readonly string[] | null;
  /** Unix ms; null: never. */
  expiresAt: number | null;
}

export interface Principal {
  role: Role;
  /** The tenant that the credential belongs to; null for the admin key, which belongs to none. */
  tenant: string | null;
  /** `sub` of the token. */
  userId?: string;
  userEmail?: string;
  key?: PrincipalKey;
}
