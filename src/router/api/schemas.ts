/** What the management API takes and answers, as schemas that validate and document. */
import { z } from '@hono/zod-openapi';
import type { FunctionMeta, StoredExecution } from '../../store/types.js';
import { DEFAULT_SETTINGS, nameField, settingFields } from './fields.js';

const timestamp = z.iso.datetime().openapi({ example: '2026-01-31T12:00:00.000Z' });
const codeField = z.string().openapi({ example: 'export default () => new Response("hello");' });

export const FunctionInput = z
  .strictObject({ name: nameField, code: codeField, ...settingFields })
  .openapi('FunctionInput');

/** Fields that only the platform sets: an update may repeat them as they are. */
const repeated = {
  id: z.string().optional(),
  tenant: z.string().optional(),
  name: z.string().optional(),
  version: z.number().optional(),
  created_at: z.string().optional(),
  updated_at: z.string().optional(),
  created_by: z.string().nullable().optional(),
};
export const REPEATED = [
  'id',
  'tenant',
  'name',
  'version',
  'created_at',
  'updated_at',
  'created_by',
] as const;

export const FunctionUpdate = z
  .strictObject({ code: codeField.optional(), ...repeated, ...settingFields })
  .openapi('FunctionUpdate', {
    description:
      'Only the given fields change. Fields of the platform (id, name, version, …) may be repeated unchanged.',
  });

const Cors = z
  .object({
    origins: z.array(z.string()),
    methods: z.array(z.string()).optional(),
    headers: z.array(z.string()).optional(),
    expose_headers: z.array(z.string()).optional(),
    credentials: z.boolean().optional(),
    max_age: z.number().int().optional(),
  })
  .openapi('Cors');

export const FunctionListed = z
  .strictObject({
    id: z.uuid(),
    tenant: z.string(),
    name: z.string(),
    description: z.string().nullable(),
    version: z.number().int(),
    enabled: z.boolean(),
    cron_schedule: z.string().nullable(),
    timeout_seconds: z.number().int(),
    memory_limit_mb: z.number().int(),
    allow_net: z.boolean(),
    allow_env: z.boolean(),
    allow_read: z.boolean(),
    allow_write: z.boolean(),
    allow_unauthenticated: z.boolean(),
    max_concurrency: z.number().int(),
    max_instances: z.number().int(),
    routes: z.array(z.string()),
    cors: Cors.nullable(),
    rate_limit: z.string().nullable(),
    disable_execution_logs: z.boolean(),
    created_at: timestamp,
    updated_at: timestamp,
    created_by: z.string().nullable(),
  })
  .openapi('FunctionListed');

export const FunctionRecord = FunctionListed.extend({ code: z.string() }).openapi('Function');

export const FunctionVersion = z
  .strictObject({
    version: z.number().int(),
    hash: z.string(),
    imports: z
      .array(
        z.strictObject({
          specifier: z.string().nullable().openapi({
            description: 'As the code has it; null: another import asks for it.',
            example: 'npm:zod@4',
          }),
          resolved: z.string().openapi({ example: 'npm:zod@4.1.0' }),
          integrity: z.string().openapi({
            description: 'Of an npm package, as npm has it; of a jsr package or a URL, a SHA-256 in hex.',
          }),
        }),
      )
      .openapi({ description: 'The packages and modules that it was built from, and those that they need.' }),
    created_at: timestamp,
    created_by: z.string().nullable(),
  })
  .openapi('FunctionVersion');

/** The first two are of due work: asynchronous calls and schedules. */
export const STATUSES = ['pending', 'running', 'success', 'error', 'timeout', 'cancelled'] as const;
export const TRIGGER_TYPES = ['http', 'invoke', 'cron', 'database', 'async'] as const;

export const ExecutionRecord = z
  .strictObject({
    id: z.uuid(),
    function_id: z.uuid(),
    function_name: z.string(),
    version: z.number().int(),
    trigger_type: z.enum(TRIGGER_TYPES),
    trigger_payload: z.unknown(),
    status: z.enum(STATUSES).openapi({
      description:
        '`pending` and `running`: an asynchronous call or a tick of a schedule that has not ended yet.',
    }),
    status_code: z.number().int().nullable(),
    duration_ms: z.number(),
    cpu_ms: z.number().nullable(),
    cold_start: z.boolean(),
    result: z.string().nullable(),
    logs: z.string().nullable(),
    error_message: z.string().nullable(),
    error_stack: z.string().nullable(),
    executed_at: timestamp,
    completed_at: timestamp.nullable(),
    request_id: z.string(),
  })
  .openapi('Execution');

export const ReloadAnswer = z
  .strictObject({
    created: z.array(z.string()),
    updated: z.array(z.string()),
    deleted: z.array(z.string()),
    unchanged: z.array(z.string()),
    errors: z.array(
      z.object({ name: z.string(), error: z.string(), details: z.array(z.unknown()).optional() }),
    ),
  })
  .openapi('Reload');

export const ErrorAnswer = z
  .strictObject({
    error: z.string().openapi({ description: 'A sentence for a person.' }),
    code: z.string().openapi({ example: 'INVALID_REQUEST' }),
    request_id: z.string(),
    execution_id: z.string().optional(),
    details: z
      .array(
        z.object({
          field: z.string(),
          message: z.string(),
          line: z.number().int().optional(),
          column: z.number().int().optional(),
        }),
      )
      .optional(),
  })
  .openapi('Error');

const limit = z.coerce.number().int().min(1).max(200).default(50);

export const ListQuery = z.object({ limit, after: z.string().max(64).optional() });
export const UpdateQuery = z.object({
  update_imports: z.enum(['true', 'false']).default('false').openapi({
    description:
      'Whether the imports of given code are looked up anew. Otherwise those that the function has stay as they are.',
  }),
});
export const LogsQuery = z.object({ limit, follow: z.enum(['true', 'false']).default('false') });
export const ExecutionsQuery = z.object({
  limit,
  status: z.enum(STATUSES).optional(),
  trigger_type: z.enum(TRIGGER_TYPES).optional(),
  before: z.uuid().optional().openapi({ description: "An execution's id: only older ones." }),
});

/** The contract's record, without `code` as a list has it. */
export function toListed(meta: FunctionMeta): z.output<typeof FunctionListed> {
  const { id, tenant, name, version, created_by } = meta;
  const settings = Object.fromEntries(
    Object.keys(DEFAULT_SETTINGS).map((key) => [key, Reflect.get(meta, key)]),
  );
  const times = { created_at: meta.created_at.toISOString(), updated_at: meta.updated_at.toISOString() };
  return FunctionListed.parse({ id, tenant, name, version, ...settings, ...times, created_by });
}

export function toRecord(meta: FunctionMeta & { code: string }): z.output<typeof FunctionRecord> {
  return { ...toListed(meta), code: meta.code };
}

export function toExecution(execution: StoredExecution): z.output<typeof ExecutionRecord> {
  const { tenant: _, executed_at, completed_at, ...rest } = execution;
  return {
    ...rest,
    executed_at: executed_at.toISOString(),
    completed_at: completed_at === null ? null : completed_at.toISOString(),
  };
}
