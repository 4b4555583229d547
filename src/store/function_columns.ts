/** How a function's record and its settings lie in the columns of `functions`. */
import type { Queries } from './connection.js';
import type { FunctionSettings } from './types.js';

const SETTINGS = [
  'description',
  'enabled',
  'cron_schedule',
  'timeout_seconds',
  'memory_limit_mb',
  'allow_net',
  'allow_env',
  'allow_read',
  'allow_write',
  'allow_unauthenticated',
  'max_concurrency',
  'max_instances',
  'rate_limit',
  'disable_execution_logs',
] as const satisfies (keyof FunctionSettings)[];

const META = [
  'functions.id',
  'functions.tenant',
  'functions.name',
  'functions.description',
  'functions.version',
  'functions.hash',
  'functions.secrets_revision',
  'functions.enabled',
  'functions.cron_schedule',
  'functions.timeout_seconds',
  'functions.memory_limit_mb',
  'functions.allow_net',
  'functions.allow_env',
  'functions.allow_read',
  'functions.allow_write',
  'functions.allow_unauthenticated',
  'functions.max_concurrency',
  'functions.max_instances',
  'functions.routes',
  'functions.cors',
  'functions.rate_limit',
  'functions.disable_execution_logs',
  'functions.source',
  'functions.created_at',
  'functions.updated_at',
  'functions.created_by',
];

/** The columns of FunctionMeta, to select or return. */
export function metaColumns(sql: Queries) {
  return sql(META);
}

/** Those of the settings that are given, as columns to insert or set; anything else in the object is left out. */
export function settingColumns(sql: Queries, settings: Partial<FunctionSettings>) {
  const columns: Record<string, string | number | boolean | null | ReturnType<Queries['json']>> = {};
  for (const name of SETTINGS) {
    const value = settings[name];
    if (value !== undefined) columns[name] = value;
  }
  if (settings.routes !== undefined) columns.routes = sql.json(settings.routes);
  if (settings.cors !== undefined)
    columns.cors = settings.cors === null ? null : sql.json({ ...settings.cors });
  return columns;
}
