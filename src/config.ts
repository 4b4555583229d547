/** The settings, read from the environment once, at start, and checked: a wrong one is a `StartError`. */
import { isIPv4, isIPv6 } from 'node:net';
import { cpus, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { StartError } from './errors.js';
import { looksLikeKey } from './tokens.js';

const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, { error: `must be a whole number from ${min} to ${max}` })
    .transform(Number)
    .refine((value) => value >= min && value <= max, {
      error: `must be a whole number from ${min} to ${max}`,
    });

const port = whole(0, 65_535);
const secret = (least: number) => z.string().min(least, { error: `must have at least ${least} characters` });
const url = (protocols: readonly string[]) =>
  z.string().refine(
    (value) => {
      try {
        return protocols.includes(new URL(value).protocol);
      } catch {
        return false;
      }
    },
    { error: `must be a URL that begins with ${protocols.map((name) => `${name}//`).join(' or ')}` },
  );

/** One of what HEARTH_EGRESS_DENY lists. Deno takes no ranges of IPv6 addresses. */
const denied = z.union([z.literal('private'), z.ipv4(), z.cidrv4(), z.ipv6()]);
/** An address, or a range of them. */
const addresses = z.union([z.ipv4(), z.cidrv4(), z.ipv6(), z.cidrv6()]);
const EGRESS_DENY =
  'must be off, or a list such as private,203.0.113.0/24: the word private, addresses, and ranges of IPv4 addresses';

/** Every variable, its check and its default; docs/settings.md says what each means. */
const Settings = z.object({
  HEARTH_HOST: z.string().min(1).default('127.0.0.1'),
  HEARTH_PORT: port.default(8080),
  HEARTH_METRICS_PORT: z.union([z.literal('off'), port]).default(9464),
  HEARTH_DATA_DIR: z.string().min(1).default('.hearth'),
  DATABASE_URL: url(['postgres:', 'postgresql:']).optional(),
  HEARTH_ROUTERS: whole(1, 64).default(Math.max(1, cpus().length)),
  HEARTH_POOL_SIZE: whole(0, 256).default(4),
  HEARTH_FUNCTIONS_DIR: z.string().min(1).default('functions'),
  HEARTH_DOMAIN: z
    .string()
    .regex(/^(?!-)[a-z0-9-]+(\.[a-z0-9-]+)*$/i, {
      error: 'must be a domain name such as functions.example.com',
    })
    .transform((value) => value.toLowerCase())
    .optional(),
  HEARTH_REGION: z.string().min(1).max(64).default('local'),
  HEARTH_JWT_SECRET: secret(16).optional(),
  HEARTH_JWKS_URL: z
    .string()
    .refine(isJwksUrl, {
      error: 'must be a URL that begins with https://, or with http:// on a loopback host',
    })
    .optional(),
  HEARTH_JWT_ISSUER: z.string().max(1024).optional(),
  HEARTH_JWT_AUDIENCE: z.string().max(1024).optional(),
  HEARTH_ADMIN_KEY: secret(16)
    .refine((key) => !looksLikeKey(key), { error: 'must not begin as an API or service key does' })
    .optional(),
  HEARTH_SECRET_KEY: secret(16).optional(),
  HEARTH_SECRET_KEY_PREVIOUS: secret(16).optional(),
  HEARTH_TRUSTED_PROXIES: z
    .string()
    .transform((value) => value.split(',').map((entry) => entry.trim()))
    .refine((entries) => entries.every((entry) => addresses.safeParse(entry).success), {
      error: 'must be a list of addresses and ranges such as 10.0.0.0/8,::1',
    })
    .optional(),
  HEARTH_SANDBOX: z
    .enum(['auto', 'bwrap', 'permissions'], { error: 'must be auto, bwrap or permissions' })
    .default('auto'),
  HEARTH_EGRESS_DENY: z
    .string()
    .transform((value) => (value === 'off' ? [] : value.split(',').map((entry) => entry.trim())))
    .refine((entries) => entries.every((entry) => denied.safeParse(entry).success), { error: EGRESS_DENY })
    .optional(),
  HEARTH_EGRESS_IPV6: z.enum(['on', 'off'], { error: 'must be on or off' }).optional(),
  HEARTH_TENANTS_WITHOUT_SANDBOX: z
    .enum(['refuse', 'allow'], { error: 'must be refuse or allow' })
    .default('refuse'),
  HEARTH_DRAIN_SECONDS: whole(0, 3600).default(300),
  HEARTH_KEEP_ALIVE_SECONDS: whole(1, 86_400).default(600),
  HEARTH_CALL_CPU_SECONDS: whole(1, 3600).optional(),
  HEARTH_MAX_PROCESSES: whole(1, 10_000).default(defaultMaxProcesses()),
  HEARTH_MEMORY_MB: whole(128, 16 * 1024 * 1024).default(Math.max(128, Math.floor(usableMib() / 2))),
  HEARTH_EVENTS_CONCURRENCY: whole(0, 1000).default(16),
  HEARTH_LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error'], { error: 'must be debug, info, warn or error' })
    .default('info'),
  HEARTH_LOG_FORMAT: z
    .enum(['auto', 'json', 'text'], { error: 'must be auto, json or text' })
    .default('auto'),
  HEARTH_MAX_CODE_BYTES: whole(1024, 64 * 1024 * 1024).default(1024 * 1024),
  HEARTH_CODE_CACHE_MB: whole(16, 1024 * 1024).default(1024),
  HEARTH_IMPORT_CACHE_MB: whole(16, 1024 * 1024).default(1024),
  HEARTH_MAX_REQUEST_BYTES: whole(1, Number.MAX_SAFE_INTEGER).optional(),
  HEARTH_MAX_RESPONSE_BYTES: whole(1, Number.MAX_SAFE_INTEGER).optional(),
});

export interface Config {
  host: string;
  port: number;
  metricsPort: number | 'off';
  /** Absolute. */
  dataDir: string;
  databaseUrl: string | null;
  routers: number;
  poolSize: number;
  /** Absolute. */
  functionsDir: string;
  domain: string | null;
  /** Told to functions as HEARTH_EXECUTION_REGION. */
  region: string;
  jwtSecret: string | null;
  /** Who else signs the default tenant's tokens: goes before what is stored. */
  jwt: { jwks_url?: string; issuer?: string; audience?: string };
  adminKey: string | null;
  /** What stored secrets are sealed with; null: a key that is kept in the data directory. */
  secretKey: string | null;
  /** What they may still be sealed with. */
  previousSecretKey: string | null;
  /** Proxies whose X-Forwarded-For is believed: addresses and ranges. */
  trustedProxies: string[];
  sandbox: 'auto' | 'bwrap' | 'permissions';
  /** What functions may not reach besides what is always denied: `private`, addresses, and IPv4 ranges. */
  egressDeny: string[];
  /** Whether functions may speak IPv6. */
  egressIpv6: boolean;
  /** Whether several tenants may share a node with nothing but Deno's permissions between them. */
  tenantsWithoutSandbox: boolean;
  drainSeconds: number;
  keepAliveMs: number;
  /** Null: a call may use as much CPU as its function's time limit. */
  callCpuMs: number | null;
  maxProcesses: number;
  /** MiB of resident memory that functions' processes may have together. */
  memoryMib: number;
  /** Asynchronous calls and ticks of schedules that run on this node at once; 0: none do. */
  eventsConcurrency: number;
  /** The least that is logged. */
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** `auto`: text at a terminal, and JSON elsewhere. */
  logFormat: 'auto' | 'json' | 'text';
  maxCodeBytes: number;
  codeCacheBytes: number;
  /** Bytes of fetched packages that are kept for the next deploys. */
  importCacheBytes: number;
  /** Bytes of a body on its way to a function, and of an answer; null: any. */
  maxRequestBytes: number | null;
  maxResponseBytes: number | null;
  /** Where programs are looked for, and the user's home, for the package registries' settings. */
  path: string | undefined;
  home: string | undefined;
}

/** Throws a StartError that names the first wrong setting; an empty variable counts as unset. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = Settings.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const name = String(issue?.path[0] ?? 'a setting');
    // A secret's value is not repeated.
    const shown = /SECRET|KEY|URL/.test(name) ? '' : ` (it is ${JSON.stringify(given[name])})`;
    throw new StartError(`${name} ${explain(issue)}${shown}`);
  }
  const settings = parsed.data;
  return {
    host: settings.HEARTH_HOST,
    port: settings.HEARTH_PORT,
    metricsPort: settings.HEARTH_METRICS_PORT,
    dataDir: resolve(settings.HEARTH_DATA_DIR),
    databaseUrl: settings.DATABASE_URL ?? null,
    routers: settings.HEARTH_ROUTERS,
    poolSize: settings.HEARTH_POOL_SIZE,
    functionsDir: resolve(settings.HEARTH_FUNCTIONS_DIR),
    domain: settings.HEARTH_DOMAIN ?? null,
    region: settings.HEARTH_REGION,
    jwtSecret: settings.HEARTH_JWT_SECRET ?? null,
    jwt: {
      ...(settings.HEARTH_JWKS_URL === undefined ? {} : { jwks_url: settings.HEARTH_JWKS_URL }),
      ...(settings.HEARTH_JWT_ISSUER === undefined ? {} : { issuer: settings.HEARTH_JWT_ISSUER }),
      ...(settings.HEARTH_JWT_AUDIENCE === undefined ? {} : { audience: settings.HEARTH_JWT_AUDIENCE }),
    },
    adminKey: settings.HEARTH_ADMIN_KEY ?? null,
    secretKey: settings.HEARTH_SECRET_KEY ?? null,
    previousSecretKey: settings.HEARTH_SECRET_KEY_PREVIOUS ?? null,
    trustedProxies: settings.HEARTH_TRUSTED_PROXIES ?? [],
    sandbox: settings.HEARTH_SANDBOX,
    egressDeny: settings.HEARTH_EGRESS_DENY ?? (isLoopback(settings.HEARTH_HOST) ? [] : ['private']),
    egressIpv6: (settings.HEARTH_EGRESS_IPV6 ?? (isSingleIpv6(settings.HEARTH_HOST) ? 'on' : 'off')) === 'on',
    tenantsWithoutSandbox: settings.HEARTH_TENANTS_WITHOUT_SANDBOX === 'allow',
    drainSeconds: settings.HEARTH_DRAIN_SECONDS,
    keepAliveMs: settings.HEARTH_KEEP_ALIVE_SECONDS * 1000,
    callCpuMs:
      settings.HEARTH_CALL_CPU_SECONDS === undefined ? null : settings.HEARTH_CALL_CPU_SECONDS * 1000,
    maxProcesses: settings.HEARTH_MAX_PROCESSES,
    memoryMib: settings.HEARTH_MEMORY_MB,
    eventsConcurrency: settings.HEARTH_EVENTS_CONCURRENCY,
    logLevel: settings.HEARTH_LOG_LEVEL,
    logFormat: settings.HEARTH_LOG_FORMAT,
    maxCodeBytes: settings.HEARTH_MAX_CODE_BYTES,
    codeCacheBytes: settings.HEARTH_CODE_CACHE_MB * 1024 * 1024,
    importCacheBytes: settings.HEARTH_IMPORT_CACHE_MB * 1024 * 1024,
    maxRequestBytes: settings.HEARTH_MAX_REQUEST_BYTES ?? null,
    maxResponseBytes: settings.HEARTH_MAX_RESPONSE_BYTES ?? null,
    path: env.PATH,
    home: env.HOME,
  };
}

/** Whether nothing but this machine reaches a listener on `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Where public keys may be fetched from: nobody on the way may put in other ones. */
export function isJwksUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname.replace(/^\[|\]$/g, '')));
}

/** Functions reach a listener on every address by IPv4, and one on an IPv6 address only by that. */
function isSingleIpv6(host: string): boolean {
  return isIPv6(host) && host !== '::';
}

/** Half of the memory there is, at 64 MiB for each process. */
function defaultMaxProcesses(): number {
  return Math.max(16, Math.min(2000, Math.floor(usableMib() / 2 / 64)));
}

/** The machine's memory, or what the control group that this runs in may have of it. */
function usableMib(): number {
  const limit = process.constrainedMemory();
  return (limit > 0 ? Math.min(limit, totalmem()) : totalmem()) / (1024 * 1024);
}

function explain(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === 'invalid_union') return 'must be a port from 0 to 65535, or off';
  return issue?.message ?? 'is not valid';
}
