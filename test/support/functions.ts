/** The record of a function, for tests of what is decided about functions. */
import type { FunctionMeta } from '../../src/store/types.js';

/** A function named `f` with the contract's defaults. */
export function functionMeta(change: Partial<FunctionMeta> = {}): FunctionMeta {
  return {
    id: 'f',
    tenant: 'default',
    name: 'f',
    version: 1,
    hash: '',
    source: 'api',
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
    created_at: new Date(0),
    updated_at: new Date(0),
    created_by: null,
    ...change,
  };
}
