/** Starts an instance: its code, a process from the pool, and what came of it told to the fleet. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HearthError } from '../errors.js';
import type { Claimed, ClaimRequest, Pool } from '../pool/main.js';
import type { LogLine, Tracing } from '../pool/messages.js';
import { type DenoProcess, LoadFailure, MIN_CACHED_BYTES, type ProcessEvents } from '../pool/process.js';
import { isDatabaseAway } from '../store/database_errors.js';
import type { FunctionMeta } from '../store/types.js';
import type { Fleet, Instance } from './fleet.js';
import type { FunctionCode } from './function_code.js';
import type { Denial } from './protocol.js';
import { redactLines, redactSpan, redactThrown } from './redaction.js';
import type { Redact } from './redactor.js';
import type { ProcessSecrets } from './secrets.js';
import { permissionsOf } from './specification.js';

export interface ClaimsOptions {
  pool: Pool;
  code: FunctionCode;
  fleet: Fleet;
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

export interface Claims {
  start(instance: Instance): void;
  /** Runs the module, where V8's code cache of it is worth having and is not there; resolves when its process is gone. */
  warm(fn: FunctionMeta): Promise<void>;
}

/** ms that a module may take to load in a process that serves nobody, and V8's cache to appear after it. */
const WARM_LOAD_MS = 10_000;
const WARM_CACHE_MS = 2_000;

export function createClaims(options: ClaimsOptions): Claims {
  const { pool, code, fleet } = options;

  /** `onRedact`: called before the process has the secrets that are to be taken out of what it says. */
  function requestFor(
    fn: FunctionMeta,
    code: ClaimRequest['code'],
    onRedact: (redact: Redact | null) => void,
  ): ClaimRequest {
    async function environment(): Promise<Record<string, string>> {
      const secrets = await options.secrets(fn);
      onRedact(secrets.redact);
      return { ...secrets.env, ...options.environment(fn) };
    }
    return {
      tenant: fn.tenant,
      function: fn.name,
      memoryMb: fn.memory_limit_mb,
      code,
      env: environment(),
      permissions: permissionsOf(fn),
      tracing: options.tracing,
      loadTimeoutMs: fn.timeout_seconds * 1000,
    };
  }

  async function start(instance: Instance) {
    const { fn } = instance;
    const began = performance.now();
    const events = options.events(fn);
    /** Known before the process has them. */
    let redact: Redact | null = null;
    try {
      const request = requestFor(fn, code.of(fn), (found) => {
        redact = found;
      });
      const claimed = await pool.claim(
        request,
        {
          onLog: (id, lines, origin) => events.onLog(id, redactLines(redact, lines), origin),
          onSpan: (id, of, span) => events.onSpan(id, of, redactSpan(redact, span)),
          onEnd: events.onEnd,
          onCodeCache: (bytes) => void code.onCodeCache(fn, bytes),
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

  async function warm(fn: FunctionMeta) {
    const present = await code.of(fn);
    if (present.code.length < MIN_CACHED_BYTES || present.v8 !== null) return;
    const events = options.events(fn);
    let redact: Redact | null = null;
    const request = requestFor(fn, Promise.resolve(present), (found) => {
      redact = found;
    });
    const tell = (lines: LogLine[]) => events.onLog(null, redactLines(redact, lines));
    const loadTimeoutMs = Math.min(request.loadTimeoutMs, WARM_LOAD_MS);
    let kept = () => {};
    const cached = new Promise<void>((resolve) => {
      kept = resolve;
    });
    try {
      const { process } = await pool.claim(
        { ...request, loadTimeoutMs },
        {
          onLog: (_, lines) => tell(lines),
          onSpan: () => {},
          onEnd: () => {},
          onCodeCache: (bytes) => void code.onCodeCache(fn, bytes).then(kept),
        },
        () => {}, // nobody calls it
      );
      await Promise.race([cached, process.ended, sleep(WARM_CACHE_MS, undefined, { ref: false })]);
      process.kill('idle');
      await process.ended;
    } catch (error) {
      if (!(error instanceof LoadFailure)) throw error;
      const why = error.timedOut ? `it takes more than ${loadTimeoutMs / 1000} s` : error.thrown.message;
      tell([[Date.now(), 'error', `The module was loaded once after its deploy, and failed: ${why}`]]);
    }
  }

  return { start: (instance) => void start(instance), warm };
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
