/** What a function's process gets when it is claimed: its environment and its permissions. */
import type { FunctionMeta } from '../store/types.js';

export interface PlatformFacts {
  /** The public URL of this node, as a function can reach it. */
  url: string;
  region: string;
  /** A short-lived anon token of the function's tenant. */
  token: string;
  anonKey: string;
}

/** `HEARTH_*`, and the names that Fluxbase and Supabase give the same things. */
export function environmentOf(fn: FunctionMeta, facts: PlatformFacts): Record<string, string> {
  return {
    HEARTH_URL: facts.url,
    HEARTH_TOKEN: facts.token,
    HEARTH_EXECUTION_REGION: facts.region,
    HEARTH_FUNCTION: fn.name,
    HEARTH_TENANT: fn.tenant,
    FLUXBASE_URL: facts.url,
    FLUXBASE_TOKEN: facts.token,
    SUPABASE_URL: facts.url,
    SUPABASE_ANON_KEY: facts.anonKey,
  };
}

export function permissionsOf(fn: FunctionMeta) {
  return { net: fn.allow_net, env: fn.allow_env, read: fn.allow_read, write: fn.allow_write };
}

/** Whether running processes no longer are what the function's record says. */
export function needsNewProcess(before: FunctionMeta, after: FunctionMeta): boolean {
  return (
    before.version !== after.version ||
    before.memory_limit_mb !== after.memory_limit_mb ||
    before.allow_net !== after.allow_net ||
    before.allow_env !== after.allow_env ||
    (after.allow_env && before.secrets_revision !== after.secrets_revision) ||
    before.allow_read !== after.allow_read ||
    before.allow_write !== after.allow_write ||
    // Routers may hold more slots on the running ones than a process may now have.
    before.max_concurrency > after.max_concurrency ||
    !after.enabled
  );
}
