/** The way in: each request is resolved to a tenant and a function, authenticated, and sent on; the rest goes to the API. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { HearthError } from '../errors.js';
import { admitCaller, checkActive, checkTenant, unknownTenant } from './access.js';
import { type AsyncCalls, prefersAsync } from './async_calls.js';
import type { Authenticator } from './authenticate.js';
import type { Admission, Admissions, TenantLimits } from './budgets_admission.js';
import { Call, type CallContext } from './call.js';
import type { Noted } from './call_spans.js';
import type { ClientAddress } from './client_address.js';
import type { ClientAnswer } from './client_answer.js';
import { type Called, describeCall } from './describe_call.js';
import { requestTooLarge } from './failures.js';
import type { FunctionEntry } from './function_entry.js';
import type { FunctionTable } from './functions.js';
import { type ReadHeaders, readHeaders } from './headers.js';
import { createUuid7, REQUEST_ID } from './ids.js';
import type { Principal } from './principal.js';
import { answerError, toHearthError } from './respond.js';
import { readTarget, type Target } from './target.js';
import type { TenantTable } from './tenants.js';
import type { TokenMint } from './token_mint.js';
import type { Trace, Tracing } from './tracing.js';
import { startUpgrade, type UpgradeRequest } from './upgrade.js';

export interface GatewayOptions {
  functions: FunctionTable<FunctionEntry>;
  authenticator: Authenticator;
  calls: CallContext;
  mint: TokenMint;
  tenants: TenantTable;
  clientAddress: ClientAddress;
  /** Whether a call is within its quotas. */
  admit: Admissions['admit'];
  /** Whether the database answered last: an unknown function is then unknown for sure. */
  databaseUp(): boolean;
  /** Takes calls that are to be made later. */
  asyncCalls: AsyncCalls;
  /** Null: no request is recorded. */
  tracing: Tracing | null;
  /** Everything that is not a call of a function. */
  api(incoming: IncomingMessage, outgoing: ClientAnswer, request: ApiRequest): void;
  onError(error: unknown, requestId: string): void;
}

export interface ApiRequest {
  /** Without `/t/<tenant>`. */
  path: string;
  requestId: string;
  /** The client's. */
  address: string;
  /** Who asks, and for which tenant. Rejects with UNAUTHENTICATED or FORBIDDEN. */
  caller(): Promise<Caller>;
  /** Told of the route's template, where somebody wants to know. */
  onRoute?: (route: string) => void;
}

export interface Caller {
  principal: Principal;
  tenant: string;
}

export interface Gateway {
  onRequest(incoming: IncomingMessage, outgoing: ClientAnswer): void;
  onUpgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Paths that no custom route can take. */
export const RESERVED = /^\/(?:api\/v1|functions\/v1|t|console|healthz|readyz)(?:\/|$)/;

/** What a request asks for, before it is known who asks. */
interface Asked {
  target: Exclude<Target, { kind: 'invalid' }>;
  /** What the host or the path names; null: the credential's own, or the default one. */
  tenant: string | null;
  address: string;
  trace: Trace | null;
}

interface Resolved extends Called {
  limits: TenantLimits | null;
}

export function createGateway(options: GatewayOptions): Gateway {
  const uuid7 = createUuid7();
  const { functions, tracing } = options;

  function onRequest(incoming: IncomingMessage, outgoing: ClientAnswer) {
    const now = options.calls.now();
    const id = uuid7(now);
    const headers = readHeaders(incoming.rawHeaders);
    const requestId =
      headers.requestId !== undefined && REQUEST_ID.test(headers.requestId) ? headers.requestId : id;
    try {
      if (headers.hosts === 0 && incoming.httpVersion === '1.1')
        throw new HearthError('INVALID_REQUEST', 'The request has no Host header.');
      const asked = ask(incoming, headers, id, outgoing);
      if (asked.target.kind === 'other' && RESERVED.test(asked.target.pathname))
        return callApi(incoming, outgoing, headers, asked, requestId);
      const found = options.authenticator.authenticate(headers, asked.tenant, asked.address);
      if (found instanceof Promise) {
        found.then(
          (principal) => serve(incoming, outgoing, headers, asked, principal, id, requestId),
          (error: unknown) => serve(incoming, outgoing, headers, asked, asRefusal(error), id, requestId),
        );
      } else serve(incoming, outgoing, headers, asked, found, id, requestId);
    } catch (error) {
      refuse(outgoing, error, requestId, []);
    }
  }

  /** `found`: who calls, nobody, or why the credential does not count. */
  function serve(
    incoming: IncomingMessage,
    outgoing: ClientAnswer,
    headers: ReadHeaders,
    asked: Asked,
    found: Principal | null | HearthError,
    id: string,
    requestId: string,
  ) {
    let cors: readonly string[] = [];
    try {
      const resolved = resolve(asked, incoming.url ?? '/', found);
      if (resolved === null) return callApi(incoming, outgoing, headers, asked, requestId);
      if (incoming.method === 'OPTIONS' && answeredPreflight(outgoing, headers, resolved.entry, requestId))
        return;
      // On refusals too, so that a browser shows the error and not a failure of CORS.
      cors = resolved.entry.corsHeaders(headers.origin);
      const preflight = isPreflight(incoming, headers);
      const principal = admitCaller(resolved.entry.meta, resolved.tenant, found, preflight);
      const { limits, entry } = resolved;
      if ((limits === null && entry.rate === null) || preflight)
        return call(incoming, outgoing, headers, resolved, principal, id, requestId, null);
      const admission = options.admit(limits, entry.meta, entry.rate, principal, asked.address);
      if (admission instanceof Promise) {
        admission
          .then((given) => call(incoming, outgoing, headers, resolved, principal, id, requestId, given))
          .catch((error: unknown) => refuse(outgoing, error, requestId, cors));
      } else call(incoming, outgoing, headers, resolved, principal, id, requestId, admission);
    } catch (error) {
      refuse(outgoing, error, requestId, cors);
    }
  }

  function callApi(
    incoming: IncomingMessage,
    outgoing: ClientAnswer,
    headers: ReadHeaders,
    { target, tenant, address, trace }: Asked,
    requestId: string,
  ) {
    // Whether there is such a tenant is for those to know who have a credential.
    const caller = async (): Promise<Caller> => {
      const principal = await options.authenticator.authenticate(headers, tenant, address);
      if (trace !== null) trace.noted.authenticated = performance.now();
      if (principal === null)
        throw new HearthError(
          'UNAUTHENTICATED',
          'This needs a credential: a service key or a service_role token.',
        );
      const slug = tenant ?? principal.tenant ?? 'default';
      checkTenant(principal, slug);
      const entry = options.tenants.bySlug(slug);
      if (entry === undefined) throw unknownTenant();
      if (principal.role !== 'admin') checkActive(entry);
      if (trace !== null) trace.noted.tenant = slug;
      return { principal, tenant: slug };
    };
    const request: ApiRequest = { path: target.path, requestId, address, caller };
    if (trace !== null)
      request.onRoute = (route) => {
        trace.noted.route = route;
      };
    options.api(incoming, outgoing, request);
  }

  function onUpgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer) {
    const id = uuid7(options.calls.now());
    const headers = readHeaders(incoming.rawHeaders);
    const requestId =
      headers.requestId !== undefined && REQUEST_ID.test(headers.requestId) ? headers.requestId : id;
    // A connection that breaks before it is upgraded ends with 'close'; what broke it does not matter.
    socket.on('error', () => socket.destroy());
    let trace: Trace | null = null;
    const reject = (thrown: unknown) => {
      const error = toHearthError(thrown);
      if (error.status >= 500) options.onError(thrown, requestId);
      if (trace !== null) trace.noted.code = error.code;
      startUpgrade.refuse(socket, error, requestId);
    };
    const start = async (asked: Asked, found: Principal | null | HearthError) => {
      const resolved = resolve(asked, incoming.url ?? '/', found);
      if (resolved === null) throw new HearthError('NOT_FOUND', 'Nothing here speaks WebSocket.');
      const principal = admitCaller(resolved.entry.meta, resolved.tenant, found, false);
      const { limits, entry } = resolved;
      let admission: Admission | null = null;
      if (limits !== null || entry.rate !== null)
        admission = await options.admit(limits, entry.meta, entry.rate, principal, asked.address);
      if (!holdUntilClosed(admission, socket)) return;
      const request: UpgradeRequest = {
        ...describeCall(incoming, headers, resolved, principal, admission, id, requestId, options.mint),
        rawHeaders: incoming.rawHeaders,
        socket,
        head,
      };
      startUpgrade(options.calls, request);
    };
    try {
      const asked = ask(incoming, headers, id, socket);
      trace = asked.trace;
      Promise.resolve(options.authenticator.authenticate(headers, asked.tenant, asked.address))
        .catch(asRefusal)
        .then((found) => start(asked, found))
        .catch(reject);
    } catch (error) {
      reject(error);
    }
  }

  /** @throws INVALID_REQUEST */
  function ask(
    incoming: IncomingMessage,
    headers: ReadHeaders,
    id: string,
    client: ClientAnswer | Duplex,
  ): Asked {
    if (headers.hosts > 1)
      throw new HearthError('INVALID_REQUEST', 'The request has more than one Host header.');
    const target = readTarget(incoming.url ?? '/');
    if (target.kind === 'invalid') throw new HearthError('INVALID_REQUEST', target.reason);
    const tenant =
      (headers.host === undefined ? null : options.tenants.byHost(headers.host)) ?? target.tenant;
    const address = options.clientAddress(incoming.socket.remoteAddress, headers.forwardedFor);
    const asked: Asked = { target, tenant, address, trace: null };
    if (tracing !== null && isTraced(target)) {
      asked.trace = tracing.begin(incoming, headers, id, client);
      if (asked.trace !== null) noteAsked(asked.trace.noted, asked);
    }
    return asked;
  }

  /** The function that is asked for; null where it is the management API or nothing. @throws UNAUTHENTICATED, NOT_FOUND, FORBIDDEN, UNAVAILABLE */
  function resolve(
    { target, tenant, trace }: Asked,
    url: string,
    found: Principal | null | HearthError,
  ): Resolved | null {
    if (trace !== null) trace.noted.authenticated = performance.now();
    // A credential that does not count was to tell whose function is meant: one of the default tenant's answers only
    // where there is one, and none where the credential may yet turn out to be good.
    const refused = tenant === null && found instanceof HearthError ? found : null;
    if (refused !== null && refused.code !== 'UNAUTHENTICATED') throw refused;
    const slug = tenant ?? (found instanceof HearthError ? null : found?.tenant) ?? 'default';
    const entry = options.tenants.bySlug(slug);
    if (entry === undefined) throw unknownTenant();
    if (trace !== null) trace.noted.tenant = slug;
    checkActive(entry);
    if (target.kind === 'other') {
      const match = functions.byRoute(slug, target.pathname);
      if (match === undefined) {
        if (refused !== null) throw refused;
        return null;
      }
      if (trace !== null) trace.noted.route = match.route;
      return {
        entry: match.entry,
        limits: entry.limits,
        tenant: slug,
        trigger: 'http',
        path: originForm(url),
        params: match.params,
        trace,
      };
    }
    const fn = functions.byName(slug, target.name);
    if (fn === undefined) throw refused ?? unknownFunction();
    const trigger = target.kind === 'invoke' ? 'invoke' : 'http';
    return { entry: fn, limits: entry.limits, tenant: slug, trigger, path: target.path, params: null, trace };
  }

  function unknownFunction(): HearthError {
    if (options.databaseUp()) return new HearthError('NOT_FOUND', 'There is no such function.');
    return new HearthError('UNAVAILABLE', 'The database is away, and this function is not known here.', {
      retryAfter: 2,
    });
  }

  function call(
    incoming: IncomingMessage,
    outgoing: ClientAnswer,
    headers: ReadHeaders,
    resolved: Resolved,
    principal: Principal | null,
    id: string,
    requestId: string,
    admission: Admission | null,
  ) {
    if (!holdUntilClosed(admission, outgoing)) return;
    if (resolved.trigger === 'invoke' && incoming.method === 'POST' && prefersAsync(headers.forwarded))
      return takeAsync(incoming, outgoing, headers, resolved, principal, id, requestId, admission);
    const { maxRequestBytes } = options.calls;
    if (headers.length !== undefined && headers.length > maxRequestBytes) {
      const cors = resolved.entry.corsHeaders(headers.origin);
      return refuse(outgoing, requestTooLarge(maxRequestBytes), requestId, cors);
    }
    const description = describeCall(
      incoming,
      headers,
      resolved,
      principal,
      admission,
      id,
      requestId,
      options.mint,
    );
    new Call(options.calls, description, incoming, outgoing).start();
  }

  function takeAsync(
    incoming: IncomingMessage,
    outgoing: ClientAnswer,
    headers: ReadHeaders,
    called: Resolved,
    principal: Principal | null,
    executionId: string,
    requestId: string,
    admission: Admission | null,
  ) {
    const cors = called.entry.corsHeaders(headers.origin);
    const answerHeaders = [...(admission?.fields ?? []), ...cors];
    options.asyncCalls
      .take(incoming, outgoing, { headers, called, principal, executionId, requestId, answerHeaders })
      .catch((error: unknown) => refuse(outgoing, error, requestId, cors));
  }

  function refuse(outgoing: ClientAnswer, thrown: unknown, requestId: string, extra: readonly string[]) {
    const error = toHearthError(thrown);
    if (error.status >= 500) options.onError(thrown, requestId);
    answerError(outgoing, error, { requestId }, extra);
  }

  return { onRequest, onUpgrade };
}

/** Gives back what the call holds when its client has all of the answer, or is gone. False: it is gone already. */
function holdUntilClosed(admission: Admission | null, client: ClientAnswer | Duplex): boolean {
  const release = admission?.release ?? null;
  if (client.destroyed) release?.();
  else if (release !== null) client.once('close', release);
  return !client.destroyed;
}

function answeredPreflight(
  outgoing: ClientAnswer,
  headers: ReadHeaders,
  entry: FunctionEntry,
  requestId: string,
): boolean {
  if (headers.origin === undefined || headers.requestMethod === undefined) return false;
  const answer = entry.preflightHeaders(headers.origin);
  if (answer === null) return false;
  outgoing.writeHead(204, [...answer, 'x-request-id', requestId]);
  outgoing.end();
  return true;
}

/** Neither health checks nor the console's files are anybody's trace. */
function isTraced(target: Asked['target']): boolean {
  return target.kind !== 'other' || !/^\/(?:healthz|readyz|console)(?:\/|$)/.test(target.pathname);
}

/** Custom routes, and those of the API, are noted once they are found. */
function noteAsked(noted: Noted, { target, address }: Asked) {
  noted.address = address;
  if (target.kind === 'function') noted.route = '/functions/v1/:name';
  else if (target.kind === 'invoke') noted.route = '/api/v1/functions/:name/invoke';
}

/** The Fetch standard's CORS preflight. */
function isPreflight(incoming: IncomingMessage, headers: ReadHeaders): boolean {
  return incoming.method === 'OPTIONS' && headers.origin !== undefined && headers.requestMethod !== undefined;
}

/** A refusal of the credential, which some functions do without; anything else goes on as it is. */
function asRefusal(error: unknown): HearthError {
  if (error instanceof HearthError) return error;
  throw error;
}

function originForm(url: string): string {
  return url.startsWith('/') ? url : `/${url.replace(/^https?:\/\/[^/]*\/?/i, '')}`;
}
