/** Starts an instance: its code from the cache, a process from the pool, and what came of it told to the fleet. */
import type { CodeCache } from '../pool/code_cache.js';
import type { Claimed, Pool } from '../pool/main.js';
import { LoadFailure, type ProcessEvents } from '../pool/process.js';
import type { FunctionMeta } from '../store/types.js';
import type { Fleet, Instance } from './fleet.js';
import type { Denial } from './protocol.js';
import { permissionsOf } from './specification.js';

export interface ClaimsOptions {
  pool: Pool;
  code: CodeCache;
  fleet: Fleet;
  loadBundle(hash: string): Promise<string | null>;
  environment(fn: FunctionMeta): Record<string, string>;
  events(fn: FunctionMeta): Omit<ProcessEvents, 'onCodeCache'>;
  onClaimed(fn: FunctionMeta, claimed: Claimed, tookMs: number): void;
  onError(error: unknown): void;
}

export function createClaims(options: ClaimsOptions): { start(instance: Instance): void } {
  const { pool, code, fleet } = options;

  async function start(instance: Instance) {
    const { fn } = instance;
    const began = performance.now();
    try {
      const claimed = await pool.claim(
        {
          tenant: fn.tenant,
          function: fn.name,
          memoryMb: fn.memory_limit_mb,
          code: code.get(fn.hash, () => options.loadBundle(fn.hash)),
          env: options.environment(fn),
          permissions: permissionsOf(fn),
          loadTimeoutMs: fn.timeout_seconds * 1000,
        },
        {
          ...options.events(fn),
          onCodeCache: (bytes) => void code.putV8(fn.hash, bytes).catch(options.onError),
        },
      );
      const { process } = claimed;
      options.onClaimed(fn, claimed, performance.now() - began);
      const { id, sockets, token } = process;
      fleet.started(instance, { process: id, sockets, token, functionId: fn.id, version: fn.version });
    } catch (error) {
      fleet.failed(instance, explain(fn, error));
      if (!(error instanceof LoadFailure)) options.onError(error);
    }
  }

  return { start: (instance) => void start(instance) };
}

function explain(fn: FunctionMeta, error: unknown): Denial {
  if (error instanceof LoadFailure) {
    if (error.timedOut) {
      return {
        code: 'FUNCTION_TIMEOUT',
        message: `The function ${fn.name} did not finish loading within ${fn.timeout_seconds} s.`,
        thrown: error.thrown,
      };
    }
    const message =
      error.ending === 'memory'
        ? `The function ${fn.name} went over its memory limit of ${fn.memory_limit_mb} MiB while it loaded.`
        : error.ending !== null
          ? `The process of the function ${fn.name} ended while it loaded.`
          : `The function ${fn.name} failed to load. Its execution says why.`;
    const code =
      error.ending === 'memory'
        ? 'MEMORY_LIMIT'
        : error.ending !== null
          ? 'FUNCTION_CRASHED'
          : 'FUNCTION_ERROR';
    return { code, message, thrown: error.thrown };
  }
  return {
    code: 'UNAVAILABLE',
    message: `No process could be started for the function ${fn.name}. Try again shortly.`,
    retryAfter: 2,
  };
}
