/** The route that reads what a tenant's functions have used. */
import { z } from '@hono/zod-openapi';
import type { UsageRow } from '../../store/usage.js';
import { type Api, type ApiOptions, requireScope } from './context.js';
import { nameField } from './fields.js';
import { MANAGING } from './functions.js';
import { addRoute } from './routes.js';
import { invalidRequest, validate } from './validate.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Days that one question may be about: by the hour there are 24 rows in each. */
const MAX_DAYS = { total: 400, function: 400, day: 400, hour: 40 } as const;

const time = z.iso.datetime({ offset: true });
const UsageListQuery = z.object({
  from: time
    .optional()
    .openapi({ description: 'Included; its hour as a whole. A day before `to` by default.' }),
  to: time.optional().openapi({ description: 'Its hour is included as a whole. Now by default.' }),
  group: z.enum(['total', 'hour', 'day', 'function']).default('total'),
  function: nameField.optional(),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(1000)
    .openapi({ description: 'Of functions; hours and days are all there.' }),
  after: z
    .uuid()
    .optional()
    .openapi({ description: 'Of functions: the last `function_id` gives the next page.' }),
});

const figures = {
  calls: z.number().openapi({ description: 'Calls that ran, whatever came of them.' }),
  cpu_ms: z.number().openapi({ description: 'CPU that they told of, in ms.' }),
  mib_seconds: z
    .number()
    .openapi({ description: 'Memory limit (MiB) times the seconds that processes lived.' }),
  egress_bytes: z.number().openapi({ description: "Bytes of answers' bodies, and of WebSockets." }),
  cold_starts: z.number(),
};
export const UsageAnswer = z
  .strictObject({
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    group: z.enum(['total', 'hour', 'day', 'function']),
    usage: z.array(
      z.strictObject({
        start: z.iso.datetime().optional().openapi({ description: 'Of the hour or the day (UTC).' }),
        function_id: z.uuid().optional(),
        function_name: z.string().optional(),
        ...figures,
      }),
    ),
  })
  .openapi('Usage');

export function addUsageRoutes(api: Api, { store, flushExecutions }: ApiOptions): void {
  addRoute(
    api,
    {
      method: 'get',
      path: '/api/v1/usage',
      tag: 'Usage',
      summary: 'What the functions have used, in whole hours (UTC)',
      query: UsageListQuery,
      answers: { 200: { description: 'Sums, by what `group` says', schema: UsageAnswer } },
      errors: [...MANAGING, 'INVALID_REQUEST'],
    },
    async (c) => {
      const { tenant } = await requireScope(c, 'read:executions');
      const { from, to, ...query } = validate(UsageListQuery, c.req.query());
      const hours = hoursOf(from, to, MAX_DAYS[query.group]);
      await flushExecutions();
      const rows = await store.usage.read(tenant, {
        ...query,
        ...hours,
        limit: query.group === 'function' ? query.limit : 1000,
      });
      return c.json({
        from: hours.from.toISOString(),
        to: hours.to.toISOString(),
        group: query.group,
        usage: rows.map(toRow),
      });
    },
  );
}

/** Whole hours that hold the two times; `to` is where the last one ends. */
function hoursOf(
  from: string | undefined,
  to: string | undefined,
  maxDays: number,
): { from: Date; to: Date } {
  const last = to === undefined ? Date.now() : Date.parse(to);
  const end = Math.ceil(last / HOUR_MS) * HOUR_MS;
  const first = from === undefined ? end - DAY_MS : Date.parse(from);
  const start = Math.floor(first / HOUR_MS) * HOUR_MS;
  if (start >= end) throw invalidRequest([{ field: 'from', message: 'must be before `to`' }]);
  if (end - start > maxDays * DAY_MS)
    throw invalidRequest([{ field: 'from', message: `must be at most ${maxDays} days before \`to\`` }]);
  return { from: new Date(start), to: new Date(end) };
}

function toRow({ start, function_id, function_name, ...sums }: UsageRow) {
  return {
    ...(start === null ? {} : { start: start.toISOString() }),
    ...(function_id === null || function_name === null ? {} : { function_id, function_name }),
    ...sums,
  };
}
