/** Tokens that the platform signs itself, and the form of its API and service keys. */
import { createHash, createHmac, randomBytes } from 'node:crypto';

/** A compact JWS with HS256 (RFC 7515): synchronous, which jose's is not. */
export function signToken(secret: string, payload: Record<string, unknown>): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(payload)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** Years that a tenant's anon and service keys are good for, as Supabase's are. */
export const KEY_LIFE_YEARS = 10;

/** A tenant's long-lived key: a token of the role. `now` in Unix s. */
export function signKey(secret: string, role: 'anon' | 'service_role', tenant: string, now: number): string {
  const exp = now + KEY_LIFE_YEARS * 365 * 24 * 3600;
  return signToken(secret, { iss: 'hearth', role, tenant, iat: now, exp });
}

export type KeyKind = 'api' | 'service';

const KEY_PREFIXES: Record<KeyKind, string> = { api: 'hth_api_', service: 'hth_svc_' };
const KEY_FORM = /^hth_(?:api|svc)_[A-Za-z0-9_-]{43}$/;

/** 32 random bytes in base64url behind what tells its kind. */
export function newKey(kind: KeyKind): string {
  return KEY_PREFIXES[kind] + randomBytes(32).toString('base64url');
}

/** Whether a credential means to be an API or a service key. */
export function looksLikeKey(text: string): boolean {
  return text.startsWith(KEY_PREFIXES.api) || text.startsWith(KEY_PREFIXES.service);
}

/** Whether it can be one at all. */
export function isKey(text: string): boolean {
  return KEY_FORM.test(text);
}

/** SHA-256, hex: enough for what is random. */
export function hashOfKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
