/** Spans as the platform makes them: after the fact, from times that were noted, and only where they are recorded. */
import { createHmac, randomFillSync } from 'node:crypto';
import type { Attributes } from '@opentelemetry/api';
import { askedExporters, type Env } from './asked.js';

export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';
export type SpanAttributes = Attributes;

export interface SpanEvent {
  name: string;
  /** Unix ms, with fractions. */
  time: number;
  attributes: SpanAttributes;
}

export interface FinishedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string | null;
  /** Whether the parent is in another process. */
  parentIsRemote: boolean;
  /** As it is passed on; empty where there is none. */
  tracestate: string;
  name: string;
  kind: SpanKind;
  /** Unix ms, with fractions. */
  start: number;
  end: number;
  attributes: SpanAttributes;
  status: 'unset' | 'ok' | 'error';
  /** What the status says; empty for nothing. */
  statusMessage: string;
  events: readonly SpanEvent[];
  /** Whose instrumentation made it. */
  scope: { name: string; version: string };
}

/** Where spans go. Bounded: what comes while it is full is dropped, and counted in the log. */
export interface SpanSink {
  /** Whether there is room: a trace that nobody else records yet is best not begun when there is none. */
  hasRoom(): boolean;
  add(span: FinishedSpan): void;
  /** Sends what there is, for at most 3 s. */
  stop(): Promise<void>;
}

/** What tells one process of one node from all others, in what it exports. */
export interface ProcessFacts {
  /** Hearth's version. */
  version: string;
  /** Of the node. */
  instanceId: string;
  /** Such as `supervisor` or `router-1`. */
  process: string;
}

export interface ExportOptions {
  env: Env;
  facts: ProcessFacts;
  onError: (error: unknown) => void;
}

/** Null where no OTEL_* variable asks for traces: the SDK is then not even loaded. */
export async function startSpans(options: ExportOptions): Promise<SpanSink | null> {
  if (askedExporters(options.env, 'TRACES').length === 0) return null;
  return await (await import('./span_export.js')).startSpanExport(options);
}

/**
 * The id of the span that stands for a call of a function: what a process tells of a trace counts only where it names the
 * one that belongs to trace, execution and function. So no function puts spans into a trace that it was not called in.
 *
 * @param key known to the node's own processes alone.
 * @returns 16 hexadecimal digits.
 */
export function functionSpanId(
  key: string,
  traceId: string,
  executionId: string,
  functionId: string,
): string {
  const hash = createHmac('sha256', key).update(`${traceId} ${executionId} ${functionId}`).digest('hex');
  return hash.slice(0, 16);
}

/** Makes ids of 16 hexadecimal digits. Random bytes are drawn in blocks: a draw costs more than all else of a span. */
export function createSpanIds(): () => string {
  const pool = Buffer.alloc(8 * 512);
  let at = pool.length;
  return () => {
    if (at >= pool.length) {
      randomFillSync(pool);
      at = 0;
    }
    at += 8;
    return pool.toString('hex', at - 8, at);
  };
}
