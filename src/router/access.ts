/** Who may call what: decisions on a credential that has been verified. */
import { HearthError } from '../errors.js';
import type { FunctionMeta } from '../store/types.js';
import type { Principal } from './principal.js';
import type { TenantEntry } from './tenants.js';

/**
 * Who calls a function: whoever has an anon key at least, or anyone where the function says so. Null: nobody in particular.
 *
 * @param tenant the function's.
 * @param found who the credential says it is, null where there is none, or why it does not count.
 * @throws UNAUTHENTICATED, FORBIDDEN, FUNCTION_DISABLED
 */
export function admitCaller(
  meta: FunctionMeta,
  tenant: string,
  found: Principal | null | HearthError,
  preflight: boolean,
): Principal | null {
  // A function for everyone may have an Authorization scheme of its own.
  if (found instanceof HearthError && !meta.allow_unauthenticated) throw found;
  const principal = found instanceof HearthError ? null : found;
  // A browser sends no credential with a preflight; the function answers what the platform does not.
  if (principal === null && !meta.allow_unauthenticated && !preflight) {
    throw new HearthError(
      'UNAUTHENTICATED',
      'This function needs a credential: an anon key at least, as Authorization: Bearer or apikey.',
    );
  }
  if (principal !== null) {
    checkTenant(principal, tenant);
    checkMayCall(principal, meta.name);
  }
  if (!meta.enabled) throw new HearthError('FUNCTION_DISABLED', `The function ${meta.name} is disabled.`);
  return principal;
}

export function unknownTenant(): HearthError {
  return new HearthError('NOT_FOUND', 'There is no such tenant.');
}

/** @throws FORBIDDEN */
export function checkActive({ tenant }: TenantEntry) {
  if (tenant.status !== 'active')
    throw new HearthError('FORBIDDEN', `The tenant ${tenant.slug} is ${tenant.status}.`);
}

function checkMayCall({ key }: Principal, name: string) {
  if (key === undefined || key.kind === 'service') return;
  if (!key.scopes.includes('execute:functions'))
    throw new HearthError('FORBIDDEN', 'The API key has not the scope execute:functions.');
  if (key.functions !== null && !key.functions.includes(name))
    throw new HearthError('FORBIDDEN', `The API key may not call the function ${name}.`);
}

/** @throws FORBIDDEN */
export function checkTenant(principal: Principal, tenant: string) {
  if (principal.tenant !== null && principal.tenant !== tenant) {
    throw new HearthError('FORBIDDEN', 'The credential belongs to another tenant.');
  }
}
