/** Starts an instance: its code from the cache, a process from the pool, and what came of it told to the fleet. */

import { HearthError } from '../errors.js';
import type { CodeCache } from '../pool/code_cache.js';
import type { Claimed, Pool } from '../pool/main.js';
import type { Tracing } from '../pool/messages.js';
import { type DenoProcess, LoadFailure, type ProcessEvents } from '../pool/process.js';
import { isDatabaseAway } from '../store/database_errors.js';
import type { FunctionMeta } from '../store/types.js';
import type { Fleet, Instance } from './fleet.js';
import type { Denial } from './protocol.js';
import { redactLines, redactSpan, redactThrown } from './redaction.js';
import type { Redact } from './redactor.js';
import type { ProcessSecrets } from './secrets.js';
import { permissionsOf } from './specification.js';

export interface ClaimsOptions {
  pool: Pool;
  code: CodeCache;
  fleet: Fleet;
  loadBundle(hash: string): Promise<string | null>;
  /** What the platform puts into it: wins over secrets. */
  environment(fn: FunctionMeta): Record<string, string>;
  /** What its process tells for OpenTelemetry. */
  tracing: Tracing;
  /** @throws HearthError UNAVAILABLE */
  secrets(fn: FunctionMeta): Promise<ProcessSecrets>;
  events(fn: FunctionMeta): Omit<ProcessEvents, 'onCodeCache'>;
  /** A process is about to become the function's. `redact`: takes the secrets out that it gets; null: it gets none. */
  onTaken(process: DenoProcess, redact: Redact | null): void;
  onClaimed(fn: FunctionMeta, claimed: Claimed, tookMs: number): void;
  onError(error: unknown): void;
}

export function createClaims(options: ClaimsOptions): { start(instance: Instance): void } {
  const { pool, code, fleet } = options;

  async function start(instance: Instance) {
    const { fn } = instance;
    const began = performance.now();
    const events = options.events(fn);
    /** Known before the process has them. */
    let redact: Redact | null = null;
    async function environment(): Promise<Record<string, string>> {
      const secrets = await options.secrets(fn);
      redact = secrets.redact;
      return { ...secrets.env, ...options.environment(fn) };
    }
    try {
      const claimed = await pool.claim(
        {
          tenant: fn.tenant,
          function: fn.name,
          memoryMb: fn.memory_limit_mb,
          code: code.get(fn.hash, () => options.loadBundle(fn.hash)),
          env: environment(),
          permissions: permissionsOf(fn),
          tracing: options.tracing,
          loadTimeoutMs: fn.timeout_seconds * 1000,
        },
        {
          onLog: (id, lines, origin) => events.onLog(id, redactLines(redact, lines), origin),
          onSpan: (id, of, span) => events.onSpan(id, of, redactSpan(redact, span)),
          onEnd: events.onEnd,
          onCodeCache: (bytes) => void code.putV8(fn.hash, bytes).catch(options.onError),
        },
        (process) => {
          options.onTaken(process, redact);
          const { id, sockets, token } = process;
          const { id: functionId, version } = fn;
          fleet.opened(instance, {
            process: id,
            sockets,
            token,
            functionId,
            version,
            secrets: redact !== null,
          });
        },
      );
      options.onClaimed(fn, claimed, performance.now() - began);
      const { processMs, codeMs, envMs: environmentMs, importMs } = claimed.took;
      fleet.started(instance, { processMs, codeMs, environmentMs, importMs });
    } catch (error) {
      fleet.failed(instance, explain(fn, error, redact));
      // The health check reports an absent database.
      const reported = error instanceof HearthError && isDatabaseAway(error.cause);
      if (!(error instanceof LoadFailure) && !reported) options.onError(error);
    }
  }

  return { start: (instance) => void start(instance) };
}

function explain(fn: FunctionMeta, error: unknown, redact: Redact | null): Denial {
  if (error instanceof LoadFailure) {
    const thrown = redactThrown(redact, error.thrown);
    if (error.timedOut) {
      return {
        code: 'FUNCTION_TIMEOUT',
        message: `The function ${fn.name} did not finish loading within ${fn.timeout_seconds} s.`,
        thrown,
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
    return { code, message, thrown };
  }
  if (error instanceof HearthError) {
    const { code, message, retryAfter } = error;
    return { code, message, ...(retryAfter === undefined ? {} : { retryAfter }) };
  }
  return {
    code: 'UNAVAILABLE',
    message: `No process could be started for the function ${fn.name}. Try again shortly.`,
    retryAfter: 2,
  };
}
