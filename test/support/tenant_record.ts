/** The record of a tenant, for tests of what is decided about tenants. */
import type { TenantWithSecrets } from '../../src/store/tenants.js';

/** An active tenant without domains and quotas, whose tokens are signed with `the secret of <slug>`. */
export function tenantRecord(slug: string, change: Partial<TenantWithSecrets> = {}): TenantWithSecrets {
  return {
    slug,
    display_name: slug,
    status: 'active',
    domains: [],
    quotas: {},
    jwt: {},
    retention_days: 30,
    secrets_revision: 1,
    created_at: new Date(0),
    updated_at: new Date(0),
    jwt_secrets: [{ secret: `the secret of ${slug}`, verifies_until: null }],
    ...change,
  };
}
