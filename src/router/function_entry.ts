/** A function as the hot path needs it: its record, its metric series and its CORS answers, made once per change. */
import type { ErrorCode } from '../errors.js';
import type { Cors, ExecutionStatus, FunctionMeta, TriggerType } from '../store/types.js';
import type { UsageTally } from '../store/usage_ledger.js';
import { faasTrigger, type Instruments } from '../telemetry/instruments.js';
import type { HistogramSeries } from '../telemetry/recorder.js';
import { parseRateLimit, type RateLimit } from './budgets_callers.js';
import { exemplarOf, type Trace } from './tracing.js';

/** The metric series of one function and trigger. */
export interface CallSeries {
  /**
   * The call ran.
   *
   * @param egressBytes of the answer's body.
   * @param cpuMs 0 where its execution is joined by the supervisor, which then counts it.
   * @param trace where it is recorded.
   */
  finished(
    status: ExecutionStatus,
    cold: boolean,
    seconds: number,
    egressBytes: number,
    cpuMs: number,
    trace: Trace | null,
  ): void;
  /** The call got no slot. */
  refused(code: ErrorCode): void;
}

export interface FunctionEntry {
  readonly meta: FunctionMeta;
  /** What one caller may; null: no limit. */
  readonly rate: RateLimit | null;
  series(trigger: TriggerType): CallSeries;
  /** Headers for an answer to a request from `origin`, name and value alternating. */
  corsHeaders(origin: string | undefined): readonly string[];
  /** Headers that answer a preflight; null when it goes to the function. */
  preflightHeaders(origin: string): readonly string[] | null;
}

const NONE: readonly string[] = [];

export function createFunctionEntry(
  meta: FunctionMeta,
  instruments: Instruments,
  usage: UsageTally,
): FunctionEntry {
  const series = new Map<TriggerType, CallSeries>();
  return {
    meta,
    rate: parseRateLimit(meta.rate_limit),
    series(trigger) {
      let known = series.get(trigger);
      if (known === undefined) {
        known = createSeries(meta, trigger, instruments, usage);
        series.set(trigger, known);
      }
      return known;
    },
    corsHeaders: (origin) =>
      meta.cors === null || origin === undefined ? NONE : simpleCors(meta.cors, origin),
    preflightHeaders: (origin) => (meta.cors === null ? null : preflightCors(meta.cors, origin)),
  };
}

function createSeries(
  meta: FunctionMeta,
  trigger: TriggerType,
  instruments: Instruments,
  usage: UsageTally,
): CallSeries {
  const fn = { 'hearth.tenant': meta.tenant, 'faas.name': meta.name };
  const invocation = { ...fn, 'faas.trigger': faasTrigger(trigger) };
  const invocations = instruments.invocations.with(invocation);
  const errors = instruments.errors.with(invocation);
  const timeouts = instruments.timeouts.with(invocation);
  const coldStarts = instruments.coldStarts.with(fn);
  const overQuota = instruments.callsRefused.with({
    'hearth.tenant': meta.tenant,
    'hearth.limit': 'processes',
  });
  /** Made when a call first ends that way: most functions never time out, and a histogram is many lines on the page. */
  const duration: Partial<Record<ExecutionStatus, HistogramSeries>> = {};
  return {
    finished(status, cold, seconds, egressBytes, cpuMs, trace) {
      usage.count(egressBytes, cpuMs, cold);
      duration[status] ??= instruments.invokeDuration.with({ ...invocation, 'hearth.outcome': status });
      duration[status].record(seconds, trace === null ? undefined : exemplarOf(trace, seconds));
      if (status === 'success') invocations.add(1);
      else if (status === 'error') errors.add(1);
      else if (status === 'timeout') timeouts.add(1);
      if (cold) coldStarts.add(1);
    },
    // What the tenant may not have is no error of the function's.
    refused: (code) => (code === 'QUOTA_EXCEEDED' ? overQuota : errors).add(1),
  };
}

/** The Fetch standard's CORS protocol: the origin is named rather than `*` when credentials are allowed. */
function allowedOrigin(cors: Cors, origin: string): string | null {
  if (cors.origins.includes('*')) return cors.credentials === true ? origin : '*';
  return cors.origins.includes(origin) ? origin : null;
}

function simpleCors(cors: Cors, origin: string): readonly string[] {
  const allowed = allowedOrigin(cors, origin);
  if (allowed === null) return ['vary', 'Origin'];
  const headers = ['access-control-allow-origin', allowed];
  if (allowed !== '*') headers.push('vary', 'Origin');
  if (cors.credentials === true) headers.push('access-control-allow-credentials', 'true');
  if (cors.expose_headers !== undefined)
    headers.push('access-control-expose-headers', cors.expose_headers.join(', '));
  return headers;
}

const DEFAULT_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const DEFAULT_HEADERS = [
  'authorization',
  'x-client-info',
  'apikey',
  'content-type',
  'x-api-key',
  'x-service-key',
  'prefer',
];

function preflightCors(cors: Cors, origin: string): readonly string[] {
  const headers = [...simpleCors(cors, origin)];
  if (allowedOrigin(cors, origin) === null) return headers;
  headers.push('access-control-allow-methods', (cors.methods ?? DEFAULT_METHODS).join(', '));
  headers.push('access-control-allow-headers', (cors.headers ?? DEFAULT_HEADERS).join(', '));
  headers.push('access-control-max-age', String(cors.max_age ?? 600));
  return headers;
}
