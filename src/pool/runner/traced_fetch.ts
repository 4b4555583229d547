/** `fetch` with a span of its own, and with the headers that let the service at the other end join the trace. */
import { SPAN_KEY } from './api_global.ts';
import { headersGet, headersSet, OwnHeaders, OwnRequest, slice } from './intrinsics.ts';
import type { Tracer } from './tracing.ts';

const SCOPE: [string, string] = ['hearth.fetch', ''];
const CLIENT = 2;
const ERROR = 2;
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

export function traceFetch(tracer: Tracer): void {
  const bare = globalThis.fetch;

  const fetch = (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const context = tracer.active();
    const target = tracer.headers(context) === null ? null : httpUrl(input);
    if (target === null) return bare(input, init);
    const method = (init?.method ?? (input instanceof OwnRequest ? input.method : 'GET')).toUpperCase();
    const known = METHODS.has(method) ? method : '_OTHER';
    const span = tracer.start(
      known,
      { kind: CLIENT, attributes: attributesOf(target, known) },
      context,
      SCOPE,
    );
    let headers: Headers;
    try {
      headers = new OwnHeaders(init?.headers ?? (input instanceof OwnRequest ? input.headers : undefined));
      const given = headersGet(headers, 'traceparent');
      const [own, ...rest] = tracer.headers(context.setValue(SPAN_KEY, span)) ?? [];
      // One of this trace was passed on from the call; one of another is the function's own.
      if (own !== undefined && (given === null || slice(given, 3, 35) === slice(own[1], 3, 35))) {
        headersSet(headers, own[0], own[1]);
        for (const [name, value] of rest)
          if (headersGet(headers, name) === null) headersSet(headers, name, value);
      }
    } catch {
      return bare(input, init); // which says what is wrong with them
    }
    return bare(input, { ...init, headers }).then(
      (response) => {
        const { status } = response;
        if ('setAttribute' in span) {
          span.setAttribute('http.response.status_code', status);
          if (status >= 400) span.setAttribute('error.type', `${status}`).setStatus({ code: ERROR });
        }
        span.end();
        return response;
      },
      (thrown: unknown) => {
        if ('setAttribute' in span) {
          const { name, message } = thrown instanceof Error ? thrown : { name: 'thrown', message: '' };
          span.setAttribute('error.type', name).setStatus({ code: ERROR, message });
        }
        span.end();
        throw thrown;
      },
    );
  };
  Object.defineProperty(globalThis, 'fetch', {
    value: fetch,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

/** Null for anything but http(s), and for what is no URL, which `fetch` itself refuses. */
function httpUrl(input: RequestInfo | URL): URL | null {
  const text = input instanceof OwnRequest ? input.url : `${input}`;
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : null;
}

/** Without credentials and without the query: what is in those is between the function and the other end. */
function attributesOf(url: URL, method: string) {
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  return {
    'http.request.method': method,
    'url.full': `${url.protocol}//${url.host}${url.pathname}`,
    'server.address': url.hostname,
    'server.port': port,
  };
}
