import { describe, expect, it } from 'vitest';
import { functionMeta } from '../../test/support/functions.js';
import type { TenantWithSecrets } from '../store/tenants.js';
import type { TenantStatus } from '../store/types.js';
import { createServed } from './served.js';

const NOW = 1_000_000;

function servedWith(
  functions = [functionMeta({ id: 'one', tenant: 'acme' }), functionMeta({ id: 'other' })],
) {
  const said: unknown[][] = [];
  const served = createServed({
    fleet: {
      setFunction: (fn) => said.push(['set', fn.id]),
      stopTenant: (tenant, denial, endBy) => said.push(['stop', tenant, denial.code, endBy]),
      instances: () => new Map().values(),
    },
    functions: () => functions,
    tenant: () => undefined,
    now: () => NOW,
  });
  const become = (status: TenantStatus) =>
    served.applyTenants({
      changed: [{ slug: 'acme', status } as TenantWithSecrets],
      removed: [],
      complete: false,
    });
  return { served, said, become };
}

describe('what is served', () => {
  it('are the functions of active tenants', () => {
    const { served, said, become } = servedWith();
    become('active');
    served.setFunction(functionMeta({ id: 'one', tenant: 'acme' }));
    become('suspended');
    served.setFunction(functionMeta({ id: 'two', tenant: 'acme' }));
    served.setFunction(functionMeta({ id: 'other' }));
    expect(said).toEqual([
      ['set', 'one'],
      ['stop', 'acme', 'FORBIDDEN', Number.POSITIVE_INFINITY],
      ['set', 'other'],
    ]);
  });

  it('are all of a tenant’s functions again when it is taken up again, and once', () => {
    const { said, become } = servedWith();
    become('suspended');
    become('active');
    become('active');
    expect(said.slice(1)).toEqual([['set', 'one']]);
  });

  it('end within 10 s when their tenant is deleted, also where nothing was heard of it before it was gone', () => {
    const { served, said, become } = servedWith();
    become('deleting');
    expect(said).toEqual([['stop', 'acme', 'FORBIDDEN', NOW + 10_000]]);
    served.applyTenants({ changed: [], removed: ['acme'], complete: false });
    expect(said.slice(1)).toEqual([['stop', 'acme', 'NOT_FOUND', NOW + 10_000]]);
  });
});
