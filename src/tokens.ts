/** Tokens that the platform signs itself. */
import { createHmac } from 'node:crypto';

/** A compact JWS with HS256 (RFC 7515): synchronous, which jose's is not. */
export function signToken(secret: string, payload: Record<string, unknown>): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(payload)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
