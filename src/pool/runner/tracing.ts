/**
 * OpenTelemetry in a function's process, where this node exports traces or logs: the spans that the function makes with
 * `@opentelemetry/api`, and one for each `fetch`, become children of the call's, and go to the supervisor. Deno's own
 * OpenTelemetry is left off: it would need a collector that untrusted code can reach (decision 21).
 */
import {
  type FunctionSpan,
  type LogOrigin,
  SPAN_LIMITS,
  type TraceOrigin,
  type Tracing,
} from '../messages.ts';
import { Context, offerApi, SPAN_KEY } from './api_global.ts';
import type { Control } from './control.ts';
import { createFollowing } from './deno_core.ts';
import type { Execution, Executions } from './execution.ts';
import { OwnUint8Array, slice, uncurry } from './intrinsics.ts';
import type { Logs } from './logs.ts';
import { nameOf, putAll, SilentSpan, Span, type SpanContext } from './span.ts';
import { traceFetch } from './traced_fetch.ts';

export interface TracingOptions {
  control: Control;
  executions: Executions;
  logs: Logs;
}

export interface SpanOptions {
  kind?: number;
  attributes?: unknown;
  startTime?: unknown;
  root?: boolean;
}

export interface Tracer {
  active(): Context;
  run<A extends unknown[], T>(context: Context, task: (...args: A) => T, ...args: A): T;
  /** `context`: where its parent is looked for. */
  start(name: unknown, options: SpanOptions, context: Context, scope: [string, string]): Span | SilentSpan;
  /** The headers that tell another service of the trace; null outside of any call. */
  headers(context: Context): [name: string, value: string][] | null;
}

/** What the platform said of the trace of one execution, and what it may still tell. */
interface ExecutionTrace {
  readonly execution: string;
  readonly of: TraceOrigin;
  readonly sampled: boolean;
  readonly tracestate: string | null;
  readonly baggage: string | null;
  readonly context: Context;
  readonly wall: number;
  readonly began: number;
  spansLeft: number;
  charactersLeft: number;
}

/** The last time that Date takes (ECMAScript, 21.4.1.1), in Unix ms. */
const MAX_TIME = 8.64e15;

export function startTracing(what: Tracing, { control, executions, logs }: TracingOptions): void {
  const { run, current: entered } = createFollowing<Context>('hearth.trace');
  const traces = new WeakMap<Execution, ExecutionTrace>();
  const getTrace = uncurry(WeakMap.prototype.get).bind(null, traces) as (
    e: Execution,
  ) => ExecutionTrace | undefined;
  const setTrace = uncurry(WeakMap.prototype.set).bind(null, traces) as (
    e: Execution,
    t: ExecutionTrace,
  ) => void;
  const dateNow = Date.now;
  const getTime = uncurry(Date.prototype.getTime);
  const { timeOrigin } = performance;
  const now = performance.now.bind(performance);

  function traceOf(execution: Execution | undefined): ExecutionTrace | null {
    if (execution === undefined) return null;
    const known = getTrace(execution);
    if (known !== undefined) return known;
    const traceparent = execution.internal('traceparent');
    if (traceparent === null) return null;
    const of: TraceOrigin = [slice(traceparent, 3, 35), slice(traceparent, 36, 52)];
    const sampled = slice(traceparent, 53, 55) === '01';
    const trace: ExecutionTrace = {
      execution: execution.id,
      of,
      sampled,
      tracestate: execution.internal('tracestate'),
      baggage: execution.internal('baggage'),
      context: Context.root.setValue(SPAN_KEY, new SilentSpan(contextOf(of, sampled))),
      wall: dateNow(),
      began: now(),
      spansLeft: SPAN_LIMITS.spans,
      charactersLeft: SPAN_LIMITS.characters,
    };
    setTrace(execution, trace);
    return trace;
  }

  /** What is no time that can be sent is the present one. */
  function timeOf(trace: ExecutionTrace, input: unknown): number {
    const given = readTime(input);
    return given >= 0 && given <= MAX_TIME ? given : trace.wall + (now() - trace.began);
  }

  function readTime(input: unknown): number {
    if (input instanceof Date) return getTime(input);
    if (typeof input === 'number') return input < timeOrigin ? timeOrigin + input : input;
    if (typeof input === 'object' && input !== null) {
      const [seconds, nanoseconds] = input as [number, number];
      return seconds * 1000 + nanoseconds / 1e6;
    }
    return -1;
  }

  function send(trace: ExecutionTrace, span: FunctionSpan) {
    const characters = charactersOf(span);
    if (trace.spansLeft <= 0 || trace.charactersLeft < characters) return;
    trace.spansLeft--;
    trace.charactersLeft -= characters;
    control.send({ t: 'span', id: trace.execution, of: trace.of, span });
  }

  const tracer: Tracer = {
    active: () => entered() ?? traceOf(executions.current())?.context ?? Context.root,
    run,
    start(name, options, context, scope) {
      const trace = traceOf(executions.current());
      if (trace === null)
        return new SilentSpan({ traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 });
      if (!what.spans || !trace.sampled) return new SilentSpan(contextOf(trace.of, false));
      const parent = options.root === true ? undefined : spanContextOf(context);
      const span: FunctionSpan = {
        id: newSpanId(),
        // In the trace that the function was called in, whatever it says.
        parent: parent?.traceId === trace.of[0] ? parent.spanId : trace.of[1],
        name: nameOf(name),
        kind:
          options.kind === 1 || options.kind === 2 || options.kind === 3 || options.kind === 4
            ? options.kind
            : 0,
        start: timeOf(trace, options.startTime),
        end: 0,
        status: [0, ''],
        attributes: [],
        events: [],
        scope,
      };
      putAll(span.attributes, options.attributes);
      return new Span(
        {
          traceId: trace.of[0],
          now: () => timeOf(trace, undefined),
          timeOf: (input) => timeOf(trace, input),
          send: (ended) => send(trace, ended),
        },
        span,
      );
    },
    headers(context) {
      const trace = traceOf(executions.current());
      if (trace === null) return null;
      const span = spanContextOf(context);
      const parent = span?.traceId === trace.of[0] ? span.spanId : trace.of[1];
      const headers: [string, string][] = [
        ['traceparent', `00-${trace.of[0]}-${parent}-${trace.sampled ? '01' : '00'}`],
      ];
      if (trace.tracestate !== null) headers[headers.length] = ['tracestate', trace.tracestate];
      if (trace.baggage !== null) headers[headers.length] = ['baggage', trace.baggage];
      return headers;
    },
  };

  offerApi(tracer);
  traceFetch(tracer);
  if (what.logs)
    logs.originOf = (execution): LogOrigin | undefined => {
      const trace = traceOf(execution);
      if (trace === null || !trace.sampled) return undefined;
      const span = spanContextOf(tracer.active());
      return { of: trace.of, span: span?.traceId === trace.of[0] ? span.spanId : trace.of[1] };
    };
}

function contextOf([traceId, spanId]: TraceOrigin, sampled: boolean): SpanContext {
  return { traceId, spanId, traceFlags: sampled ? 1 : 0, isRemote: true };
}

const SPAN_ID = /^[0-9a-f]{16}$/;
const isSpanId = RegExp.prototype.test.bind(SPAN_ID);

/** Of the span in the context, if there is a valid one: the function may have put anything there. */
function spanContextOf(context: Context): SpanContext | undefined {
  const span = context.getValue(SPAN_KEY) as { spanContext?(): SpanContext } | undefined;
  const found = span?.spanContext?.();
  return typeof found?.spanId === 'string' && isSpanId(found.spanId) ? found : undefined;
}

const randomValues = crypto.getRandomValues.bind(crypto);
const toHex = uncurry(Uint8Array.prototype.toHex);

function newSpanId(): string {
  return toHex(randomValues(new OwnUint8Array(8)));
}

function charactersOf(span: FunctionSpan): number {
  let sum = span.name.length + span.status[1].length + 64;
  const add = (pairs: FunctionSpan['attributes']) => {
    for (let index = 0; index < pairs.length; index++) {
      const [name, value] = pairs[index] as FunctionSpan['attributes'][number];
      sum +=
        name.length +
        (typeof value === 'object' ? lengthOf(value) : typeof value === 'string' ? value.length : 8);
    }
  };
  add(span.attributes);
  for (let index = 0; index < span.events.length; index++) {
    const [name, , pairs] = span.events[index] as FunctionSpan['events'][number];
    sum += name.length + 16;
    add(pairs);
  }
  return sum;
}

function lengthOf(items: (string | number | boolean)[]): number {
  let sum = 0;
  for (let index = 0; index < items.length; index++) {
    const item = items[index];
    sum += typeof item === 'string' ? item.length + 2 : 8;
  }
  return sum;
}
