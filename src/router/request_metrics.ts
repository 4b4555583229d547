/** Every request that this router answers, by what it asked for and how it ended: `http.server.request.duration`. */
import type { IncomingMessage } from 'node:http';
import { ERROR_STATUS } from '../errors.js';
import { httpMethod, type Instruments, type RequestAttributes } from '../telemetry/instruments.js';
import type { HistogramSeries } from '../telemetry/recorder.js';
import type { ClientAnswer } from './client_answer.js';
import { requestExemplar } from './tracing.js';

export interface RequestMetrics {
  /** Call it when a request has arrived, before anybody answers it. */
  watch(incoming: IncomingMessage, outgoing: ClientAnswer): void;
}

/** What stands for the routes that are the functions' own: they are too many to be told apart. */
const CUSTOM = '/*';
const CALL = '/functions/v1/:name';
const INVOKE = /^\/api\/v1\/functions\/[^/?]+\/invoke(?:\?|$)/;

/** Failures that are the platform's own: there from the start at 0, so that a rate sees the first one. */
const OWN = [
  ['INTERNAL', 500],
  ['OVERLOADED', 503],
  ['UNAVAILABLE', 503],
] as const;

export function createRequestMetrics({
  requestDuration,
}: Pick<Instruments, 'requestDuration'>): RequestMetrics {
  /** Route → method → status, and error where there is one: few, as all of them are. No text is made for a request. */
  const known = new Map<string, Map<string, Map<number | string, HistogramSeries>>>();

  function series(method: string, route: string, status: number, failure: string): HistogramSeries {
    const key = failure === '' ? status : `${status} ${failure}`;
    const found = known.get(route)?.get(method)?.get(key);
    if (found !== undefined) return found;
    const attributes: RequestAttributes = {
      'http.request.method': method,
      'url.scheme': 'http',
      'http.route': route,
      ...(status === 0 ? {} : { 'http.response.status_code': status }),
      ...(failure === '' ? {} : { 'error.type': failure }),
    };
    const made = requestDuration.with(attributes);
    const ofRoute = known.get(route) ?? new Map<string, Map<number | string, HistogramSeries>>();
    known.set(route, ofRoute);
    ofRoute.set(method, (ofRoute.get(method) ?? new Map<number | string, HistogramSeries>()).set(key, made));
    return made;
  }

  for (const [code, status] of OWN) series('GET', CALL, status, code);

  return {
    watch(incoming, outgoing) {
      // Read now: what is passed on to the management API gets another URL.
      outgoing.asked = incoming.url ?? '';
      outgoing.onClosed = answered;
    },
  };

  function answered(answer: ClientAnswer): void {
    const status = answer.headersSent ? answer.statusCode : 0;
    const method = httpMethod(answer.req.method ?? '');
    const seconds = (performance.now() - answer.began) / 1000;
    series(method, routeOf(answer.asked), status, failureOf(answer, status)).record(
      seconds,
      requestExemplar(answer, seconds),
    );
  }
}

/** `error.type`: of what is no server's failure (below 500) there is none (OpenTelemetry's conventions for HTTP). */
function failureOf(outgoing: ClientAnswer, status: number): string {
  if (status === 0) return 'client_gone';
  const { code } = outgoing;
  // An answer that had begun well may have broken off.
  if (status < 500) return code !== null && ERROR_STATUS[code] >= 500 ? code : '';
  return code ?? String(status);
}

/** The template of the route that a request's target asks for, `/t/<tenant>` left out. */
export function routeOf(url: string): string {
  let at = 0;
  if (url.startsWith('/t/')) {
    at = url.indexOf('/', 3);
    if (at < 0) return CUSTOM;
  }
  if (url.startsWith('/functions/v1/', at)) return CALL;
  if (url.startsWith('/api/v1/', at))
    return INVOKE.test(url.slice(at)) ? '/api/v1/functions/:name/invoke' : '/api/v1/*';
  if (url.startsWith('/console', at)) return '/console';
  if (url.startsWith('/healthz', at)) return '/healthz';
  if (url.startsWith('/readyz', at)) return '/readyz';
  return CUSTOM;
}
