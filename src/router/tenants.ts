/** The tenants as this router knows them: by slug, and by the name in `Host`. Kept current by the supervisor. */
import type { TenantWithSecrets } from '../store/tenants.js';
import type { TenantLimits } from './budgets_admission.js';

/** A tenant as it was when it last changed; `current` turns false when there is a newer one, or none. */
export interface TenantEntry {
  readonly tenant: TenantWithSecrets;
  readonly current: boolean;
  /** What its calls are counted against; null: nothing. */
  readonly limits: TenantLimits | null;
}

export interface TenantTable {
  bySlug(slug: string): TenantEntry | undefined;
  all(): Iterable<TenantEntry>;
  /** The slug that a Host header stands for: a custom domain, or `<tenant>.<domain>`, of which nobody may know. */
  byHost(host: string): string | null;
  /** The slug of the only tenant whose tokens have this `iss`; null where there is none, or more than one. */
  byIssuer(issuer: string): string | null;
  set(tenant: TenantWithSecrets): void;
  remove(slug: string): void;
  keepOnly(slugs: ReadonlySet<string>): void;
}

/** Hosts whose answer is remembered, so that a call costs one look-up. */
const MAX_HOSTS = 1_000;

/**
 * @param domain what HEARTH_DOMAIN says, in lower case.
 * @param limitsOf makes what is kept of a tenant's quotas, anew when the tenant changes.
 */
export function createTenantTable(
  domain: string | null,
  limitsOf: (tenant: TenantWithSecrets) => TenantLimits | null = () => null,
): TenantTable {
  type Entry = { tenant: TenantWithSecrets; current: boolean; limits: TenantLimits | null };
  const entries = new Map<string, Entry>();
  const domains = new Map<string, string>();
  const hosts = new Map<string, string | null>();
  const issuers = new Map<string, Set<string>>();

  function remove(slug: string) {
    const entry = entries.get(slug);
    if (entry === undefined) return;
    entry.current = false;
    entries.delete(slug);
    hosts.clear();
    for (const name of entry.tenant.domains) if (domains.get(name) === slug) domains.delete(name);
    const { issuer } = entry.tenant.jwt;
    const slugs = issuer === undefined ? undefined : issuers.get(issuer);
    if (issuer === undefined || slugs === undefined) return;
    slugs.delete(slug);
    if (slugs.size === 0) issuers.delete(issuer);
  }

  function lookUp(host: string): string | null {
    const name = hostName(host);
    const custom = domains.get(name);
    if (custom !== undefined) return custom;
    return domain !== null && name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1) : null;
  }

  return {
    bySlug: (slug) => entries.get(slug),
    all: () => entries.values(),
    byHost(host) {
      const known = hosts.get(host);
      if (known !== undefined) return known;
      const slug = lookUp(host);
      if (hosts.size >= MAX_HOSTS) hosts.clear();
      hosts.set(host, slug);
      return slug;
    },
    byIssuer(issuer) {
      const slugs = issuers.get(issuer);
      if (slugs?.size !== 1) return null;
      const [slug = null] = slugs;
      return slug;
    },
    set(tenant) {
      remove(tenant.slug);
      entries.set(tenant.slug, { tenant, current: true, limits: limitsOf(tenant) });
      hosts.clear();
      for (const name of tenant.domains) domains.set(name, tenant.slug);
      const { issuer } = tenant.jwt;
      if (issuer !== undefined) issuers.set(issuer, (issuers.get(issuer) ?? new Set()).add(tenant.slug));
    },
    remove,
    keepOnly(slugs) {
      for (const slug of [...entries.keys()]) if (!slugs.has(slug)) remove(slug);
    },
  };
}

/** The name in a Host header (RFC 9110, 7.2): no port, no trailing dot, in lower case. */
export function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
}
