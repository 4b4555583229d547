/** The record of a function, for tests of what is decided about functions. */
import type { Actor, FunctionMeta } from '../../src/store/types.js';

/** Somebody with a service key. */
export const someone: Actor = { kind: 'service_role', id: 'someone', address: '127.0.0.1', request_id: 'r1' };

/** A function named `f` with the contract's defaults. */
export function functionMeta(change: Partial<FunctionMeta> = {}): FunctionMeta {
  return {
    id: 'f',
    tenant: 'default',
    name: 'f',
    version: 1,
    hash: '',
    secrets_revision: 1,
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
