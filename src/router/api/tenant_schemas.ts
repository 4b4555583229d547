/** What the routes for tenants take and answer. */
import { z } from '@hono/zod-openapi';
import { isJwksUrl } from '../../config.js';
import type { Tenant } from '../../store/types.js';

/** The biggest whole number that JSON carries exactly. */
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const QUOTAS = [
  'calls_per_minute',
  'calls_per_day',
  'concurrent_calls',
  'live_processes',
  'memory_mib',
  'functions',
  'code_bytes',
  'cpu_seconds_per_month',
] as const;
const quotas = <F extends z.ZodType>(field: F) =>
  z.strictObject(
    Object.fromEntries(QUOTAS.map((name) => [name, field])) as Record<(typeof QUOTAS)[number], F>,
  );

export const QuotasField = quotas(count.optional()).openapi('Quotas', {
  description: 'What is not there is not limited.',
});
const QuotasPatch = quotas(count.nullable().optional()).openapi('QuotasPatch', {
  description: 'What is not there stays; null takes a limit away.',
});

const LABEL = '(?!-)[a-z0-9-]{1,63}(?<!-)';
const DOMAIN = new RegExp(`^(?=.{1,253}$)${LABEL}(\\.${LABEL})*\\.(?!\\d+$)${LABEL}$`);
/** As `Host` is compared: in lower case, without the root's dot. */
const domainField = z
  .string()
  .max(254)
  .overwrite((name) => name.toLowerCase().replace(/\.$/, ''))
  .regex(DOMAIN, 'must be a domain name such as api.example.com, without a port')
  .openapi({ example: 'api.example.com' });
const domainsField = z
  .array(domainField)
  .max(50)
  .refine((names) => new Set(names).size === names.length, 'must not name a domain twice');

const jwksUrl = z.string().max(2048).refine(isJwksUrl, {
  error: 'must be an https URL without a user name, or an http one on a loopback address',
});
const claim = z.string().min(1).max(500);
const jwt = <F extends z.ZodType, G extends z.ZodType>(url: F, text: G) =>
  z.strictObject({ jwks_url: url, issuer: text, audience: text });
const JwtField = jwt(jwksUrl.optional(), claim.optional()).openapi('JwtSettings', {
  description: "Who signs the tokens of the tenant's users, besides the tenant itself.",
});
const JwtPatch = jwt(jwksUrl.nullable().optional(), claim.nullable().optional()).openapi('JwtSettingsPatch', {
  description: 'What is not there stays; null takes it away.',
});

const displayName = z.string().min(1).max(200).refine(hasNoControl, 'must not have control characters');
const retentionDays = z.number().int().min(1).max(3650);

export const TenantInput = z
  .strictObject({
    slug: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 of a-z, 0-9 and "-", not at an end')
      .openapi({ example: 'acme' }),
    display_name: displayName.optional(),
    domains: domainsField.default([]),
    quotas: QuotasField.default({}),
    jwt: JwtField.default({}),
    jwt_secret: z
      .string()
      .min(16)
      .max(512)
      .optional()
      .openapi({ description: 'What HS256 tokens are signed with; a random one when it is not there.' }),
    retention_days: retentionDays.default(30),
  })
  .openapi('TenantInput');

export const TenantUpdate = z
  .strictObject({
    display_name: displayName.optional(),
    domains: domainsField.optional(),
    quotas: QuotasPatch.optional(),
    jwt: JwtPatch.optional(),
    retention_days: retentionDays.optional(),
    status: z.enum(['active', 'suspended']).optional(),
  })
  .openapi('TenantUpdate', {
    description:
      'Only the given fields change. `domains` are then all there are; `quotas` and `jwt` are merged (RFC 7396).',
  });

export const TenantRecord = z
  .strictObject({
    slug: z.string(),
    display_name: z.string(),
    status: z.enum(['active', 'suspended', 'deleting']),
    domains: z.array(z.string()),
    quotas: QuotasField,
    jwt: z.strictObject({
      jwks_url: z.string().optional(),
      issuer: z.string().optional(),
      audience: z.string().optional(),
    }),
    retention_days: z.number().int(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .openapi('Tenant');

export const TenantCreated = TenantRecord.extend({
  anon_key: z.string(),
  service_key: z.string(),
}).openapi('TenantCreated', { description: 'The keys are tokens; the service key is shown this once.' });

export const TenantDetails = TenantRecord.extend({
  usage: z.strictObject({
    functions: z.number().int(),
    code_bytes: z.number().openapi({ description: 'Of the current code of its functions.' }),
  }),
}).openapi('TenantDetails');

export const TenantSelf = TenantRecord.pick({
  slug: true,
  display_name: true,
  quotas: true,
  retention_days: true,
}).openapi('TenantSelf');

export const TenantDeleted = z
  .strictObject({
    deleted: z.strictObject({
      functions: z.number().int(),
      versions: z.number().int(),
      executions: z.number().int(),
      keys: z.number().int(),
      secrets: z.number().int(),
      domains: z.number().int(),
      usage: z.number().int(),
    }),
  })
  .openapi('TenantDeleted', { description: 'Rows that this request deleted.' });

export const TenantsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  after: z.string().max(64).optional(),
});

export function toTenant(tenant: Tenant): z.output<typeof TenantRecord> {
  const { slug, display_name, status, domains, retention_days } = tenant;
  return {
    slug,
    display_name,
    status,
    domains,
    quotas: { ...tenant.quotas },
    jwt: { ...tenant.jwt },
    retention_days,
    created_at: tenant.created_at.toISOString(),
    updated_at: tenant.updated_at.toISOString(),
  };
}

/** U+0000 cannot be stored, and the others cannot be seen. */
function hasNoControl(text: string): boolean {
  return !/\p{Cc}/u.test(text);
}
