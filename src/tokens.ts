/** Tokens that the platform signs itself. */
import { createHmac } from 'node:crypto';

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
