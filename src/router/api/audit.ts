/** The route that reads the audit log. */
import { z } from '@hono/zod-openapi';
import { HearthError } from '../../errors.js';
import type { AuditEntry } from '../../store/audit.js';
import { type Api, type ApiOptions, requireService } from './context.js';
import { MANAGING } from './functions.js';
import { addRoute } from './routes.js';
import { validate } from './validate.js';

export const AuditRecord = z
  .strictObject({
    id: z.string().openapi({ description: 'Decimal digits; higher is later.' }),
    at: z.iso.datetime(),
    tenant: z.string(),
    actor_kind: z.enum(['admin', 'service_role', 'service_key', 'api_key', 'system']),
    actor: z.string().nullable().openapi({ description: "A user's or a key's id, where there is one." }),
    action: z.string().openapi({ example: 'function.update' }),
    subject: z.string().nullable(),
    address: z.string().nullable(),
    request_id: z.string().nullable(),
    details: z.record(z.string(), z.unknown()).nullable(),
  })
  .openapi('AuditEntry');

const AuditListQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  before: z
    .string()
    .regex(/^\d{1,18}$/, "must be an entry's id")
    .optional()
    .openapi({ description: "An entry's id: only older ones." }),
  action: z
    .string()
    .max(64)
    .regex(/^[a-z_]+\.[a-z_]+$/, 'must be an action such as function.create')
    .optional(),
  tenant: z
    .string()
    .max(63)
    .regex(/^[a-z0-9-]+$/, 'must be the slug of a tenant')
    .optional()
    .openapi({ description: 'For the admin key: any tenant, also one that is gone.' }),
});

export function addAuditRoutes(api: Api, { store }: ApiOptions): void {
  addRoute(
    api,
    {
      method: 'get',
      path: '/api/v1/audit',
      tag: 'Audit',
      summary: 'Who changed what, newest first',
      query: AuditListQuery,
      answers: {
        200: { description: 'A page; `before` the last id gives the next', schema: z.array(AuditRecord) },
      },
      errors: [...MANAGING, 'INVALID_REQUEST'],
    },
    async (c) => {
      const { tenant, principal } = await requireService(c);
      const { tenant: other, ...query } = validate(AuditListQuery, c.req.query());
      if (other !== undefined && principal.role !== 'admin')
        throw new HearthError('FORBIDDEN', 'Only the admin key may name a tenant here.');
      const entries =
        other === undefined ? await store.audit.list(tenant, query) : await store.audit.listAll(other, query);
      return c.json(entries.map(toRecord));
    },
  );
}

function toRecord(entry: AuditEntry): z.output<typeof AuditRecord> {
  return { ...entry, at: entry.at.toISOString() };
}
