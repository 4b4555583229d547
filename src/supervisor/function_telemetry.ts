/**
 * Spans and lines of functions on their way to OpenTelemetry. What a process says is untrusted: it counts for its own
 * function, in traces that its function was called in, and no faster than a bound.
 */
import type { FunctionSpan, LogLine, LogOrigin, SpanPairs, TraceOrigin, Tracing } from '../pool/messages.js';
import type { FunctionMeta } from '../store/types.js';
import type { Exports } from '../telemetry/exports.js';
import { functionSpanId, type SpanAttributes, type SpanKind } from '../telemetry/spans.js';

export interface FunctionTelemetry {
  /** What a process has to tell at all. */
  readonly wanted: Tracing;
  /** For one process of that function. */
  of(fn: FunctionMeta): ProcessTelemetry;
}

export interface ProcessTelemetry {
  onSpan(executionId: string, of: TraceOrigin, span: FunctionSpan): void;
  onLog(executionId: string | null, lines: readonly LogLine[], origin: LogOrigin | undefined): void;
}

export interface FunctionTelemetryOptions extends Exports {
  /** See `functionSpanId`. */
  key: string;
  /** Unix ms. */
  now(): number;
}

/** Spans and lines of one process that are exported: so many at once, and so many a second after that. */
const BURST = 1024;
const PER_SECOND = 256;
/** Characters of a line that are exported. */
const MAX_LINE = 8 * 1024;

const KINDS: readonly SpanKind[] = ['internal', 'server', 'client', 'producer', 'consumer'];
const STATUSES = ['unset', 'ok', 'error'] as const;
/** Names that say where a span comes from: those are the platform's to give. */
const RESERVED = /^(?:hearth|faas|service|host|k8s|telemetry|process|deployment|cloud|container)\./;

export function createFunctionTelemetry({
  spans,
  logs,
  key,
  now,
}: FunctionTelemetryOptions): FunctionTelemetry {
  return {
    wanted: { spans: spans !== null, logs: logs !== null },
    of(fn) {
      const mayPass = createAllowance(now);

      const isOurs = ([traceId, callSpanId]: TraceOrigin, executionId: string) =>
        callSpanId === functionSpanId(key, traceId, executionId, fn.id);

      return {
        onSpan(executionId, of, span) {
          if (spans === null || !mayPass() || !isOurs(of, executionId)) return;
          spans.add({
            traceId: of[0],
            spanId: span.id,
            parentSpanId: span.parent,
            parentIsRemote: span.parent === of[1],
            tracestate: '',
            name: span.name,
            kind: KINDS[span.kind] ?? 'internal',
            start: span.start,
            end: span.end,
            attributes: {
              ...attributesOf(span.attributes),
              'hearth.tenant': fn.tenant,
              'faas.name': fn.name,
              'faas.invocation_id': executionId,
            },
            status: STATUSES[span.status[0]] ?? 'unset',
            statusMessage: span.status[1],
            events: span.events.map(([name, time, pairs]) => ({
              name,
              time,
              attributes: attributesOf(pairs),
            })),
            scope: { name: span.scope[0], version: span.scope[1] },
          });
        },
        onLog(executionId, lines, origin) {
          if (logs === null) return;
          for (const [time, level, text] of lines) {
            if (!mayPass()) return;
            const known = origin !== undefined && executionId !== null && isOurs(origin.of, executionId);
            logs.emitLine({
              time,
              level,
              text: text.slice(0, MAX_LINE),
              tenant: fn.tenant,
              function: fn.name,
              executionId,
              trace: known ? { traceId: origin.of[0], spanId: origin.span } : null,
            });
          }
        },
      };
    },
  };
}

function attributesOf(pairs: SpanPairs): SpanAttributes {
  const attributes: SpanAttributes = {};
  for (const [name, value] of pairs) {
    if (RESERVED.test(name) || name === '__proto__') continue;
    // Exporters take lists of one type.
    attributes[name] = typeof value === 'object' ? value.map(String) : value;
  }
  return attributes;
}

/** A bucket of tokens: false when it is empty. */
function createAllowance(now: () => number): () => boolean {
  let tokens = BURST;
  let filled = now();
  return () => {
    const at = now();
    tokens = Math.min(BURST, tokens + (Math.max(0, at - filled) * PER_SECOND) / 1000);
    filled = at;
    if (tokens < 1) return false;
    tokens--;
    return true;
  };
}
