/** From a request, and who makes it, to the call that a process gets: its URL, its headers, and those of the answer. */
import type { IncomingMessage } from 'node:http';
import type { TriggerType } from '../store/types.js';
import { MAX_FRAMED_BODY } from '../supervisor/protocol.js';
import { readTraceparent, writeTraceparent } from '../telemetry/trace_context.js';
import type { Admission } from './budgets_admission.js';
import type { CallDescription } from './call_description.js';
import { newCallTimes } from './call_times.js';
import type { FunctionEntry } from './function_entry.js';
import { encodeHeader, type ReadHeaders } from './headers.js';
import type { Principal } from './principal.js';
import type { TokenMint } from './token_mint.js';
import { type Trace, tracestateOf } from './tracing.js';

/** What a request calls. */
export interface Called {
  entry: FunctionEntry;
  tenant: string;
  trigger: TriggerType;
  /** Path and query as the client sent them. */
  path: string;
  params: Record<string, string> | null;
  /** Null: it is not recorded. */
  trace: Trace | null;
}

/** What the call is, for the process that takes it and for the answer. `executionId` is a UUIDv7. */
export function describeCall(
  incoming: IncomingMessage,
  headers: ReadHeaders,
  called: Called,
  principal: Principal | null,
  admission: Admission | null,
  executionId: string,
  requestId: string,
  mint: TokenMint,
): CallDescription {
  const { entry } = called;
  const { forwarded } = headers;
  const address = incoming.socket.remoteAddress ?? '';
  // Each header costs on both sides of the socket, so there is none that says what another one says.
  if (headers.host !== undefined) forwarded.push('host', headers.host);
  if (requestId !== executionId) forwarded.push('x-request-id', requestId);
  const { trace } = called;
  const context =
    trace === null ? traceparent(headers, executionId) : trace.forFunction(executionId, entry.meta.id);
  forwarded.push('x-execution-id', executionId, 'traceparent', context);
  if (headers.tracestate !== undefined) {
    const tracestate = tracestateOf(headers);
    if (tracestate !== undefined) forwarded.push('tracestate', tracestate);
  }
  forwarded.push(
    'x-forwarded-for',
    headers.forwardedFor === undefined ? address : `${headers.forwardedFor}, ${address}`,
  );
  if (called.params !== null) forwarded.push('x-hearth-params', encodeHeader(JSON.stringify(called.params)));
  if (principal === null) forwarded.push('x-hearth-user-role', 'none');
  else if (principal.role !== 'anon') {
    forwarded.push('x-hearth-user-role', principal.role);
    if (principal.userId !== undefined) forwarded.push('x-hearth-user-id', encodeHeader(principal.userId));
    if (principal.userEmail !== undefined)
      forwarded.push('x-hearth-user-email', encodeHeader(principal.userEmail));
    // The process's own token is an anon one; a caller who may more has the function may as much.
    forwarded.push('x-hearth-token', mint.tokenFor(principal, called.tenant));
    if (principal.role === 'admin') hideCredentials(forwarded);
  }
  const tellsTimes = maySeeTimes(principal);
  const scheme = headers.forwardedProto === 'https' ? 'https' : 'http';
  const cors = entry.corsHeaders(headers.origin);
  const answerHeaders = ['x-request-id', requestId, 'x-execution-id', executionId];
  if (admission !== null) answerHeaders.push(...admission.fields);
  return {
    fn: entry.meta,
    series: entry.series(called.trigger),
    trigger: called.trigger,
    executionId,
    requestId,
    url: `${scheme}://${hostOf(headers.host)}${called.path}`,
    hasBody: headers.hasBody,
    framedBody: framedBody(incoming.method ?? 'GET', headers),
    headers: forwarded,
    answerHeaders: cors.length === 0 ? answerHeaders : answerHeaders.concat(cors),
    times: trace?.noted ?? (tellsTimes ? newCallTimes(performance.now()) : null),
    tellsTimes,
    trace,
  };
}

/** Service credentials alone: it tells of the platform, and of others' load on it. */
function maySeeTimes(principal: Principal | null): boolean {
  return principal !== null && (principal.role === 'service_role' || principal.role === 'admin');
}

/** Methods whose request may have a body, and those that a `Request` can have at all (the Fetch standard). */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Bytes of the body where the call suits a frame, else null. HEAD is left to HTTP, whose server leaves out the body. */
function framedBody(method: string, headers: ReadHeaders): number | null {
  if (!headers.hasBody) return method === 'GET' || WITH_BODY.has(method) ? 0 : null;
  const { length } = headers;
  return length !== undefined && length <= MAX_FRAMED_BODY && WITH_BODY.has(method) ? length : null;
}

/** The platform's own key is nothing for a tenant's code to see. */
function hideCredentials(forwarded: string[]) {
  for (let index = forwarded.length - 2; index >= 0; index -= 2) {
    const name = forwarded[index];
    if (name === 'authorization' || name === 'x-service-key' || name === 'x-api-key' || name === 'apikey')
      forwarded.splice(index, 2);
  }
}

/** W3C Trace Context: the client's, or one made of the execution's id, which is random where it has to be. */
function traceparent({ traceparent: given }: ReadHeaders, executionId: string): string {
  const parent = given === undefined ? null : readTraceparent(given);
  if (given !== undefined && parent !== null) {
    const { traceId, spanId, sampled } = parent;
    return given.startsWith('00-') ? given : writeTraceparent(traceId, spanId, sampled);
  }
  const hex = executionId.replaceAll('-', '');
  return writeTraceparent(hex, hex.slice(16), false);
}

const HOST =
  /^(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::(?:[0-5]?\d{1,4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]))?$/;

function hostOf(host: string | undefined): string {
  return host !== undefined && HOST.test(host) ? host : 'localhost';
}
