/** What the routes for API and service keys take and answer. */
import { z } from '@hono/zod-openapi';
import type { ApiKey } from '../../store/api_keys.js';
import { SCOPES } from '../principal.js';
import { nameField } from './fields.js';

const range = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]);
const rangeField = z
  .string()
  .max(64)
  .refine((text) => range.safeParse(text).success, 'must be an address or a range such as 203.0.113.0/24')
  .openapi({ example: '203.0.113.0/24' });

const timestamp = z.iso.datetime();

export const KeyInput = z
  .strictObject({
    name: z
      .string()
      .regex(/^[^\p{Cc}]{1,100}$/u, 'must be 1 to 100 characters, none of them a control character'),
    kind: z.enum(['api', 'service']).default('api'),
    scopes: z
      .array(z.enum(SCOPES))
      .max(SCOPES.length)
      .transform((scopes) => [...new Set(scopes)])
      .default([])
      .openapi({ description: 'What an API key may do; a service key may do everything and has none.' }),
    functions: z
      .array(nameField)
      .min(1)
      .max(100)
      .nullable()
      .default(null)
      .openapi({ description: 'Names of the only functions that an API key may call; null: all.' }),
    source_ranges: z
      .array(rangeField)
      .min(1)
      .max(50)
      .nullable()
      .default(null)
      .openapi({ description: 'Addresses and ranges that the key may come from; null: any.' }),
    expires_at: z.iso
      .datetime({ offset: true })
      .nullable()
      .default(null)
      .openapi({ description: 'In the future; null: never.', example: '2030-01-31T12:00:00Z' }),
  })
  .openapi('KeyInput');

export type KeyFields = z.output<typeof KeyInput>;

export const KeyRecord = z
  .strictObject({
    id: z.uuid(),
    name: z.string(),
    kind: z.enum(['api', 'service']),
    prefix: z.string().openapi({ description: "The key's first characters." }),
    scopes: z.array(z.string()),
    functions: z.array(z.string()).nullable(),
    source_ranges: z.array(z.string()).nullable(),
    expires_at: timestamp.nullable(),
    last_used_at: timestamp.nullable(),
    created_at: timestamp,
    created_by: z.string().nullable(),
  })
  .openapi('Key');

export const KeyCreated = KeyRecord.extend({
  key: z.string().openapi({ description: 'The key itself: shown this once.' }),
}).openapi('KeyCreated');

export function toKey(row: ApiKey): z.output<typeof KeyRecord> {
  const { id, name, kind, prefix, scopes, functions, source_ranges, created_by } = row;
  return {
    ...{ id, name, kind, prefix, scopes, functions, source_ranges },
    expires_at: row.expires_at?.toISOString() ?? null,
    last_used_at: row.last_used_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    created_by,
  };
}
