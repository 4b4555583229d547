/**
 * Traces of requests: whether one is recorded is decided as it comes, and its spans are made when it is over, from the times
 * that were noted on the way. A request that is not recorded has no trace, and costs no more than asking whether it has.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Exemplar } from '../telemetry/delta.js';
import type { Sampler } from '../telemetry/sampling.js';
import { createSpanIds, functionSpanId, type SpanSink } from '../telemetry/spans.js';
import {
  boundTracestate,
  type ParentContext,
  readTraceparent,
  writeTraceparent,
} from '../telemetry/trace_context.js';
import { type Noted, spansOf } from './call_spans.js';
import { newCallTimes } from './call_times.js';
import { ClientAnswer } from './client_answer.js';
import type { ReadHeaders } from './headers.js';

export interface Tracing {
  /**
   * Null: it is not recorded. Otherwise its spans are sent when `client`, the answer or the upgraded connection, closes.
   *
   * @param id the execution's, which a new trace is named after.
   */
  begin(
    incoming: IncomingMessage,
    headers: ReadHeaders,
    id: string,
    client: ClientAnswer | Duplex,
  ): Trace | null;
}

/** One request that is recorded. */
export interface Trace {
  readonly traceId: string;
  /** Filled in on the way: see `Noted`. */
  readonly noted: Noted;
  /** The `traceparent` that the function gets: its parent is the span of the call. */
  forFunction(executionId: string, functionId: string): string;
}

export interface TracingOptions {
  sink: SpanSink;
  sampler: Sampler;
  /** For the ids of the spans that functions may name as their parents. */
  key: string;
  scope: { name: string; version: string };
}

/** ms in which the supervisor tells how long the start of a process took. */
const STAGES_MS = 100;

export function createTracing({ sink, sampler, key, scope }: TracingOptions): Tracing {
  const newSpanId = createSpanIds();
  return {
    begin(incoming, headers, id, client) {
      const parent = parentOf(headers);
      const named = parent?.traceId ?? id;
      // Where the exporter is behind, traces that nobody else records yet are not begun.
      const recorded = sampler(named, parent) && (parent?.sampled === true || sink.hasRoom());
      if (!recorded) {
        // What goes on must not say that this part is recorded.
        if (parent?.sampled === true)
          headers.traceparent = writeTraceparent(parent.traceId, newSpanId(), false);
        return null;
      }
      const traceId = parent?.traceId ?? id.replaceAll('-', '');
      const noted: Noted = {
        traceId,
        parentSpanId: parent?.spanId ?? null,
        tracestate: headers.tracestate ?? '',
        serverSpanId: newSpanId(),
        newSpanId,
        functionSpanId: '',
        wall: Date.now(),
        ...newCallTimes(performance.now()),
        authenticated: 0,
        ended: 0,
        route: '',
        address: '',
        tenant: null,
        call: null,
        execution: null,
        mayTell: false,
        code: null,
      };
      if (client instanceof ClientAnswer) client.noted = noted;
      const { method = 'GET', url = '/', httpVersion } = incoming;
      const request = { method, url, httpVersion, headers };
      client.once('close', () => {
        const closed = performance.now();
        const finish = () => {
          let status: number | null = null;
          if (client instanceof ClientAnswer) {
            if (client.headersSent) status = client.statusCode;
            noted.code ??= client.code;
          }
          for (const span of spansOf(noted, request, status, closed)) sink.add({ ...span, scope });
        };
        // Whoever else hears of the end notes it first, and how long a process took to load may be told a moment later.
        const { loading } = noted;
        if (loading !== null && loading.stages === null) setTimeout(finish, STAGES_MS);
        else setImmediate(finish);
      });
      return {
        traceId,
        noted,
        forFunction(executionId, functionId) {
          noted.functionSpanId = functionSpanId(key, traceId, executionId, functionId);
          return writeTraceparent(traceId, noted.functionSpanId, true);
        },
      };
    },
  };
}

/** A call's own measure, with the trace that shows what it was made of. */
export function exemplarOf({ noted }: Trace, seconds: number): Exemplar {
  return { value: seconds, time: Date.now(), traceId: noted.traceId, spanId: noted.functionSpanId };
}

/** The same for the request as a whole; undefined where it is not recorded. */
export function requestExemplar({ noted }: ClientAnswer, seconds: number): Exemplar | undefined {
  if (noted === null) return undefined;
  return { value: seconds, time: Date.now(), traceId: noted.traceId, spanId: noted.serverSpanId };
}

/** Null begins a new trace, to which the `tracestate` of an invalid one does not belong (W3C, 3.3). */
function parentOf(headers: ReadHeaders): ParentContext | null {
  return headers.traceparent === undefined ? null : readTraceparent(headers.traceparent);
}

/** The `tracestate` that goes on with a request; undefined for none. */
export function tracestateOf(headers: ReadHeaders): string | undefined {
  const { tracestate, traceparent } = headers;
  if (tracestate === undefined || traceparent === undefined) return undefined;
  if (readTraceparent(traceparent) === null) return undefined;
  const bounded = boundTracestate(tracestate);
  return bounded === '' ? undefined : bounded;
}
