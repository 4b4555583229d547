/** How many functions a tenant may have, and how much code: checked in the transaction that deploys. */
import { HearthError } from '../errors.js';
import type { Queries } from './connection.js';
import type { Quotas } from './types.js';

type FunctionQuotas = Pick<Quotas, 'functions' | 'code_bytes'>;

/** Seconds: a deploy that is over a quota has to wait for somebody to delete something. */
const RETRY_AFTER_S = 60;

/**
 * The tenant's quotas of functions and code. Where it has one, its other deploys wait until this transaction is over,
 * so that two of them cannot both take the last place. Called before anything else is locked.
 */
export async function lockFunctionQuotas(sql: Queries, tenant: string): Promise<FunctionQuotas> {
  const [row] = await sql<{ quotas: Quotas }[]>`select quotas from tenants where slug = ${tenant}`;
  if (row === undefined || !isLimited(row.quotas)) return {};
  const [locked] = await sql<{ quotas: Quotas }[]>`
    select quotas from tenants where slug = ${tenant} for no key update`;
  return locked?.quotas ?? {};
}

/**
 * Counts what there is now. What makes nothing larger may be done although there is too much already.
 *
 * @param added functions, and bytes of code (less than 0: it became shorter).
 * @throws HearthError QUOTA_EXCEEDED
 */
export async function checkFunctionQuotas(
  sql: Queries,
  tenant: string,
  quotas: FunctionQuotas,
  added: { functions: number; bytes: number },
): Promise<void> {
  if (!isLimited(quotas)) return;
  const [now] = await sql<{ functions: number; bytes: number }[]>`
    select count(*)::int as functions, coalesce(sum(octet_length(v.code)), 0)::float8 as bytes
    from functions f join function_versions v on v.function_id = f.id and v.version = f.version
    where f.tenant = ${tenant} and f.deleted_at is null`;
  if (now === undefined) return;
  const { functions = Infinity, code_bytes = Infinity } = quotas;
  if (added.functions > 0 && now.functions > functions)
    throw exceeded(`may have ${functions} functions, and has ${now.functions - added.functions}`, tenant);
  if (added.bytes > 0 && now.bytes > code_bytes) {
    const has = now.bytes - added.bytes;
    throw exceeded(
      `may have ${code_bytes} bytes of code, and has ${has}: ${added.bytes} more do not fit`,
      tenant,
    );
  }
}

function isLimited({ functions, code_bytes }: FunctionQuotas): boolean {
  return functions !== undefined || code_bytes !== undefined;
}

function exceeded(what: string, tenant: string): HearthError {
  return new HearthError('QUOTA_EXCEEDED', `The tenant ${tenant} ${what}.`, { retryAfter: RETRY_AFTER_S });
}
