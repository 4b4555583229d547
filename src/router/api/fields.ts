/** The fields that a user sets of a function: their ranges, patterns and reasons. */
import { z } from '@hono/zod-openapi';
import { Cron } from 'croner';
import { URLPattern } from 'urlpattern-polyfill';
import type { Cors, FunctionSettings } from '../../store/types.js';

export const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const TAKEN_NAMES = ['index', 'main', 'handler', '_', '-'];

export const nameField = z
  .string()
  .regex(NAME, 'must be 1 to 64 letters, digits, "_" or "-"')
  .refine((name) => !TAKEN_NAMES.includes(name), `must not be one of ${TAKEN_NAMES.join(', ')}`)
  .openapi({ example: 'hello' });

/** The settings of a function that gives none. */
export const DEFAULT_SETTINGS: FunctionSettings = {
  description: null,
  enabled: true,
  cron_schedule: null,
  timeout_seconds: 30,
  memory_limit_mb: 128,
  allow_net: true,
  allow_env: true,
  allow_read: false,
  allow_write: false,
  allow_unauthenticated: false,
  max_concurrency: 32,
  max_instances: 4,
  routes: [],
  cors: null,
  rate_limit: null,
  disable_execution_logs: false,
};

const NICKNAME = /^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$/i;

export const cronField = z
  .string()
  .max(256)
  .superRefine((schedule, ctx) => {
    const message = cronProblem(schedule);
    if (message !== null) ctx.addIssue({ code: 'custom', message });
  })
  .openapi({
    example: '*/5 * * * *',
    description: 'Five fields, or six with seconds first, or @hourly and its like (croner), in UTC.',
  });

function cronProblem(schedule: string): string | null {
  const fields = schedule.trim().split(/\s+/).length;
  if (!NICKNAME.test(schedule.trim()) && fields !== 5 && fields !== 6) {
    return 'must be a cron expression of five fields (minute hour day month weekday), or six with seconds first';
  }
  try {
    const next = new Cron(schedule, { paused: true, timezone: 'UTC' }).nextRun();
    return next === null ? 'never comes due' : null;
  } catch (error) {
    // croner throws for what it cannot parse, with a sentence that says what.
    return error instanceof Error ? error.message.replace(/^CronPattern: /, '') : 'is not a cron expression';
  }
}

/** The paths that the platform keeps to itself (the contract's "Calling a function"). */
const RESERVED = ['/api/v1', '/functions/v1', '/t', '/console', '/healthz', '/readyz'];

export const routeField = z
  .string()
  .max(256)
  .superRefine((route, ctx) => {
    const message = routeProblem(route);
    if (message !== null) ctx.addIssue({ code: 'custom', message });
  })
  .openapi({ example: '/api/users/:id', description: 'A pathname in URLPattern syntax.' });

function routeProblem(route: string): string | null {
  if (!route.startsWith('/')) return 'must start with "/"';
  let pathname: string;
  try {
    pathname = new URLPattern({ pathname: route }).pathname;
  } catch {
    return 'is not a pathname in URLPattern syntax'; // its only reason to throw
  }
  const literal = plain(pathname);
  const reserved = RESERVED.find((path) => literal === path || literal.startsWith(`${path}/`));
  return reserved === undefined ? null : `must not be under ${reserved}, which belongs to the platform`;
}

/** The pattern without the syntax that can hide a literal: `{api}`, `(api)`, `\a`, `%61`, a modifier after it. */
function plain(pathname: string): string {
  const bare = pathname.replace(/\\(.)/g, '$1').replace(/[{(]([\w%./-]*)[})][?+*]?/g, '$1');
  try {
    return decodeURIComponent(bare).replace(/\/{2,}/g, '/');
  } catch {
    return bare; // a stray % is no escape
  }
}

const routesField = z
  .array(routeField)
  .max(20)
  .refine((routes) => new Set(routes).size === routes.length, 'must not name a route twice');

const originField = z
  .string()
  .max(256)
  .refine(
    (origin) => origin === '*' || isOrigin(origin),
    'must be an origin such as https://app.example.com, or "*"',
  );

function isOrigin(origin: string): boolean {
  return URL.canParse(origin) && /^https?:/.test(origin) && new URL(origin).origin === origin;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/; // RFC 9110, 5.6.2
const tokens = z.array(z.string().regex(TOKEN, 'must be a token, without spaces')).max(50);

const corsObject = z
  .strictObject({
    origins: z
      .array(originField)
      .min(1)
      .max(100)
      .refine((origins) => origins.length === 1 || !origins.includes('*'), '"*" must stand alone'),
    methods: tokens.optional(),
    headers: tokens.optional(),
    expose_headers: tokens.optional(),
    credentials: z.boolean().optional(),
    max_age: z.number().int().min(0).max(86_400).optional(),
  })
  .refine(
    (cors) => !(cors.credentials === true && cors.origins.includes('*')),
    'credentials need named origins, not "*"',
  );

/** The shorthand: `*`, or origins between commas. */
const corsText = z.string().superRefine((text, ctx) => {
  for (const issue of corsObject.safeParse({ origins: originsOf(text) }).error?.issues ?? []) {
    ctx.addIssue({ code: 'custom', message: issue.message });
  }
});

export const corsField = z.union([corsText, corsObject]);

function originsOf(text: string): string[] {
  return text
    .split(',')
    .map((origin) => origin.trim())
    .filter((origin) => origin !== '');
}

/** The shorthand written out; `undefined` members left out. */
export function toCors(given: z.output<typeof corsField>): Cors {
  const { origins, ...rest } = typeof given === 'string' ? { origins: originsOf(given) } : given;
  const cors: Cors = { origins };
  if (rest.methods !== undefined) cors.methods = rest.methods;
  if (rest.headers !== undefined) cors.headers = rest.headers;
  if (rest.expose_headers !== undefined) cors.expose_headers = rest.expose_headers;
  if (rest.credentials !== undefined) cors.credentials = rest.credentials;
  if (rest.max_age !== undefined) cors.max_age = rest.max_age;
  return cors;
}

export const rateLimitField = z
  .string()
  .regex(
    /^[1-9]\d{0,6}\/(s|sec|min|h|hour|day)$/,
    'must be a number, "/" and one of s, sec, min, h, hour, day',
  )
  .openapi({ example: '100/min' });

/** Every setting, each optional. */
export const settingFields = {
  description: z
    .string()
    .max(1024)
    .refine((text) => !text.includes('\0'), 'must not contain a NUL character')
    .nullable()
    .optional(),
  enabled: z.boolean().optional(),
  cron_schedule: cronField.nullable().optional(),
  timeout_seconds: z.number().int().min(1).max(300).optional(),
  memory_limit_mb: z.number().int().min(32).max(1024).optional(),
  allow_net: z.boolean().optional(),
  allow_env: z.boolean().optional(),
  allow_read: z.boolean().optional(),
  allow_write: z.boolean().optional(),
  allow_unauthenticated: z.boolean().optional(),
  max_concurrency: z.number().int().min(1).max(1000).optional(),
  max_instances: z.number().int().min(1).max(100).optional(),
  routes: routesField.optional(),
  cors: corsField.nullable().optional(),
  rate_limit: rateLimitField.nullable().optional(),
  disable_execution_logs: z.boolean().optional(),
};

/** Those of the settings that the request gives. */
export function toSettings(given: z.output<z.ZodObject<typeof settingFields>>): Partial<FunctionSettings> {
  const { cors, ...rest } = given;
  const settings: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) settings[name] = value;
  if (cors !== undefined) settings.cors = cors === null ? null : toCors(cors);
  return settings;
}
