/**
 * The spans of one request, made of what was noted on its way. Names and attributes are those of the OpenTelemetry
 * conventions for HTTP servers and for FaaS where they have one.
 */
import { ERROR_STATUS, type ErrorCode } from '../errors.js';
import type { Execution } from '../store/types.js';
import { isDue } from '../supervisor/protocol.js';
import { faasTrigger, httpMethod } from '../telemetry/instruments.js';
import type { FinishedSpan, SpanAttributes, SpanEvent } from '../telemetry/spans.js';
import type { CallDescription } from './call_description.js';
import type { CallTimes } from './call_times.js';
import type { ReadHeaders } from './headers.js';

/** Of a request that is recorded. Times are performance.now()'s; 0 for what did not happen. */
export interface Noted extends CallTimes {
  readonly traceId: string;
  /** The caller's; null begins a new trace. */
  readonly parentSpanId: string | null;
  readonly tracestate: string;
  readonly serverSpanId: string;
  /** Makes an id. */
  readonly newSpanId: () => string;
  /** Empty until the function is known. */
  functionSpanId: string;
  /** Unix ms, at `began`. */
  readonly wall: number;
  /** It is known who calls, and what. */
  authenticated: number;
  /** The answer was complete, or the call was given up. */
  ended: number;
  /** A template, never a path that a caller chose. */
  route: string;
  /** The client's. */
  address: string;
  tenant: string | null;
  call: CallDescription | null;
  execution: Execution | null;
  /** Whether what the function threw may be told: it may hold secrets of its process. */
  mayTell: boolean;
  code: ErrorCode | null;
}

export interface NotedRequest {
  method: string;
  /** As the client sent it. */
  url: string;
  httpVersion: string;
  headers: ReadHeaders;
}

type Part = Omit<FinishedSpan, 'scope'>;

/** ms that a call waits beyond the start of its process before that counts as waiting in the queue. */
const QUEUE_MS = 1;

/**
 * @param status that the client got; null where the function's own connection was the client's, or there was none.
 * @param closed when the client had all of it, or was gone.
 */
export function spansOf(noted: Noted, request: NotedRequest, status: number | null, closed: number): Part[] {
  const spans = [serverSpan(noted, request, status, closed)];
  if (noted.authenticated > 0) spans.push(child(noted, 'authenticate', noted.began, noted.authenticated));
  if (noted.asked > 0 || noted.loading !== null) spans.push(...waitSpans(noted, closed));
  if (workingSince(noted) > 0) spans.push(functionSpan(noted, closed));
  return spans;
}

function serverSpan(noted: Noted, request: NotedRequest, sent: number | null, closed: number): Part {
  const { call, execution, code, route } = noted;
  const { headers } = request;
  const method = httpMethod(request.method);
  const status = sent ?? execution?.status_code ?? (code === null ? null : ERROR_STATUS[code]);
  const [host, port] = splitHost(headers.host);
  const attributes: SpanAttributes = {
    'http.request.method': method,
    'url.scheme': headers.forwardedProto === 'https' ? 'https' : 'http',
    // Without the query, which may hold what is for the function alone.
    'url.path': request.url.split('?', 1)[0] ?? '/',
    'network.protocol.version': request.httpVersion,
    'client.address': noted.address,
  };
  if (method === '_OTHER') attributes['http.request.method_original'] = request.method.slice(0, 64);
  if (route !== '') attributes['http.route'] = route;
  if (host !== undefined) attributes['server.address'] = host;
  if (port !== undefined) attributes['server.port'] = port;
  if (headers.userAgent !== undefined) attributes['user_agent.original'] = headers.userAgent.slice(0, 256);
  if (status !== null) attributes['http.response.status_code'] = status;
  if (noted.tenant !== null) attributes['hearth.tenant'] = noted.tenant;
  if (call !== null) {
    attributes['faas.trigger'] = faasTrigger(call.trigger);
    attributes['faas.name'] = call.fn.name;
    attributes['faas.invocation_id'] = call.executionId;
    attributes['hearth.request_id'] = call.requestId;
    if (execution !== null) attributes['faas.coldstart'] = execution.cold_start;
  }
  const failed = status === null || status >= 500;
  if (failed) attributes['error.type'] = code ?? (status === null ? 'client_gone' : String(status));
  const name = route === '' ? method : `${method} ${route}`;
  const due = call !== null && isDue(call.trigger) ? call : null;
  return {
    ...child(noted, due === null ? name : `${due.trigger} ${due.fn.name}`, noted.began, closed),
    spanId: noted.serverSpanId,
    parentSpanId: noted.parentSpanId,
    parentIsRemote: noted.parentSpanId !== null,
    kind: due === null ? 'server' : 'consumer',
    attributes,
    status: failed ? 'error' : 'unset',
  };
}

/** Where the call waited: for its process to be there and to load, for a slot of a busy one, or one after the other. */
function waitSpans(noted: Noted, closed: number): Part[] {
  const { loading, execution } = noted;
  const asked = noted.asked > 0 ? noted.asked : noted.granted;
  const working = workingSince(noted);
  const until = working > 0 ? working : noted.ended > 0 ? noted.ended : closed;
  if (loading === null) {
    // One whose module did not load may have had no slot yet.
    const failed = noted.granted === 0 && execution?.cold_start === true;
    if (!failed) return [child(noted, 'queue', asked, until)];
    return [{ ...child(noted, 'claim', asked, until), status: 'error' }];
  }
  const claim = child(noted, 'claim', asked, until);
  if (working === 0) claim.status = 'error';
  const { stages } = loading;
  if (stages === null) return [claim];
  const { processMs, codeMs, environmentMs, importMs } = stages;
  claim.attributes['hearth.claim.process_ms'] = processMs;
  claim.attributes['hearth.claim.code_ms'] = codeMs;
  claim.attributes['hearth.claim.environment_ms'] = environmentMs;
  claim.attributes['hearth.claim.import_ms'] = importMs;
  const began = until - (processMs + codeMs + environmentMs + importMs);
  if (began - asked < QUEUE_MS) return [claim];
  claim.start = unixMs(noted, began);
  return [child(noted, 'queue', asked, began), claim];
}

/**
 * When the function began to work on it; 0: it never did. A loading process gets its call at once, and may have answered
 * before this router hears that it has loaded.
 */
function workingSince({ granted, loading, loaded }: Noted): number {
  if (loading === null || granted === 0 || loaded === 0) return loading === null ? granted : 0;
  const { stages } = loading;
  return stages === null ? loaded : Math.min(loaded, granted + stages.environmentMs + stages.importMs);
}

function functionSpan(noted: Noted, closed: number): Part {
  const { call, execution, code } = noted;
  const attributes: SpanAttributes = {};
  const ended = noted.ended > 0 ? noted.ended : closed;
  if (call !== null) {
    attributes['faas.invoked_name'] = call.fn.name;
    attributes['faas.invocation_id'] = call.executionId;
    attributes['hearth.tenant'] = call.fn.tenant;
  }
  const failed = execution !== null && execution.status !== 'success';
  const events: SpanEvent[] = [];
  if (execution !== null) {
    attributes['faas.version'] = String(execution.version);
    attributes['faas.coldstart'] = execution.cold_start;
    attributes['hearth.outcome'] = execution.status;
    if (execution.cpu_ms !== null) attributes['hearth.cpu_ms'] = execution.cpu_ms;
    if (failed) {
      attributes['error.type'] = code ?? execution.status;
      if (noted.mayTell) events.push(exceptionOf(execution, unixMs(noted, ended)));
    }
  }
  return {
    ...child(noted, 'function', workingSince(noted), ended),
    spanId: noted.functionSpanId,
    attributes,
    status: failed ? 'error' : 'unset',
    events,
  };
}

const MAX_MESSAGE = 1024;
const MAX_STACK = 8 * 1024;

function exceptionOf({ error_message, error_stack }: Execution, time: number): SpanEvent {
  const attributes: SpanAttributes = { 'exception.message': (error_message ?? '').slice(0, MAX_MESSAGE) };
  const type = /^(?:Uncaught )?([A-Za-z_$][\w$]*): /.exec(error_stack ?? '')?.[1];
  attributes['exception.type'] = type ?? 'Error';
  if (error_stack !== null) attributes['exception.stacktrace'] = error_stack.slice(0, MAX_STACK);
  return { name: 'exception', time, attributes };
}

/** A child of the server's span, with an id of its own. */
function child(noted: Noted, name: string, start: number, end: number): Part {
  return {
    traceId: noted.traceId,
    spanId: noted.newSpanId(),
    parentSpanId: noted.serverSpanId,
    parentIsRemote: false,
    tracestate: noted.tracestate,
    name,
    kind: 'internal',
    start: unixMs(noted, start),
    end: unixMs(noted, end),
    attributes: {},
    status: 'unset',
    statusMessage: '',
    events: [],
  };
}

/** All times of a trace follow from one reading of the clock, so that they keep their order. */
function unixMs({ wall, began }: Noted, at: number): number {
  return wall + (at - began);
}

function splitHost(host: string | undefined): [name?: string, port?: number] {
  const match = /^(.*?)(?::(\d{1,5}))?$/.exec(host ?? '');
  if (host === undefined || match === null) return [];
  const [, name = '', port] = match;
  return port === undefined ? [name.slice(0, 256)] : [name.slice(0, 256), Number(port)];
}
