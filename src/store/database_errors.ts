/** What an error of the database means, by its SQLSTATE (PostgreSQL's appendix A) or the socket's error code. */
import postgres from 'postgres';

/** Errors of postgres.js and of the socket below it: no answer, or none that can be trusted. */
const LOST = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'EACCES',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ERR_STREAM_DESTROYED',
]);

/** Whether the database is away (stopped, restarting, out of connections, out of reach), so that trying later makes sense. */
export function isDatabaseAway(error: unknown): boolean {
  if (error instanceof postgres.PostgresError) return /^(08|57P|53300)/.test(error.code);
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && LOST.has(error.code);
}

/** Whether the database refuses the very values: trying the same again can only fail again. */
export function isBadData(error: unknown): boolean {
  return error instanceof postgres.PostgresError && /^(22|23|54)/.test(error.code);
}

/** The unique constraint that was violated; null for every other error. */
export function violatedUnique(error: unknown): string | null {
  if (!(error instanceof postgres.PostgresError) || error.code !== '23505') return null;
  return error.constraint_name ?? null;
}
