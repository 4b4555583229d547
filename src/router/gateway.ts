/** The way in: each request is resolved to a tenant and a function, authenticated, and sent on; the rest goes to the API. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { HearthError } from '../errors.js';
import type { TriggerType } from '../store/types.js';
import { MAX_FRAMED_BODY } from '../supervisor/protocol.js';
import type { Authenticator } from './authenticate.js';
import { Call, type CallContext } from './call.js';
import type { CallDescription } from './call_description.js';
import { requestTooLarge } from './failures.js';
import type { FunctionEntry } from './function_entry.js';
import type { FunctionTable } from './functions.js';
import { encodeHeader, type ReadHeaders, readHeaders } from './headers.js';
import { createUuid7, REQUEST_ID } from './ids.js';
import type { Principal } from './principal.js';
import { answerError, toHearthError } from './respond.js';
import { readTarget } from './target.js';
import type { TokenMint } from './token_mint.js';
import { startUpgrade, type UpgradeRequest } from './upgrade.js';

export interface GatewayOptions {
  functions: FunctionTable<FunctionEntry>;
  authenticator: Authenticator;
  calls: CallContext;
  mint: TokenMint;
  /** `<tenant>.<domain>` names the tenant. */
  domain: string | null;
  /** Whether the database answered last: an unknown function is then unknown for sure. */
  databaseUp(): boolean;
  /** Everything that is not a call of a function. */
  api(incoming: IncomingMessage, outgoing: ServerResponse, request: ApiRequest): void;
  onError(error: unknown, requestId: string): void;
}

export interface ApiRequest {
  tenant: string;
  /** Without `/t/<tenant>`. */
  path: string;
  requestId: string;
  principal(): Promise<Principal>;
}

export interface Gateway {
  onRequest(incoming: IncomingMessage, outgoing: ServerResponse): void;
  onUpgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Paths that no custom route can take. */
export const RESERVED = /^\/(?:api\/v1|functions\/v1|t|console|healthz|readyz)(?:\/|$)/;

interface Resolved {
  entry: FunctionEntry;
  tenant: string;
  trigger: TriggerType;
  /** Path and query as the client sent them. */
  path: string;
  params: Record<string, string> | null;
}

export function createGateway(options: GatewayOptions): Gateway {
  const uuid7 = createUuid7();
  const { functions } = options;

  function onRequest(incoming: IncomingMessage, outgoing: ServerResponse) {
    const now = options.calls.now();
    const id = uuid7(now);
    const headers = readHeaders(incoming.rawHeaders);
    const requestId =
      headers.requestId !== undefined && REQUEST_ID.test(headers.requestId) ? headers.requestId : id;
    let cors: readonly string[] = [];
    try {
      if (headers.hosts === 0 && incoming.httpVersion === '1.1')
        throw new HearthError('INVALID_REQUEST', 'The request has no Host header.');
      const resolved = resolve(incoming.url ?? '/', headers);
      if ('entry' in resolved) {
        if (incoming.method === 'OPTIONS' && answeredPreflight(outgoing, headers, resolved.entry, requestId))
          return;
        // On refusals too, so that a browser shows the error and not a failure of CORS.
        cors = resolved.entry.corsHeaders(headers.origin);
        const admitted = admit(headers, resolved, isPreflight(incoming, headers));
        if (admitted instanceof Promise) {
          admitted.then(
            (principal) => call(incoming, outgoing, headers, resolved, principal, id, requestId),
            (error: unknown) => refuse(outgoing, error, requestId, cors),
          );
        } else call(incoming, outgoing, headers, resolved, admitted, id, requestId);
        return;
      }
      options.api(incoming, outgoing, {
        ...resolved,
        requestId,
        principal: async () => {
          const principal = await options.authenticator.authenticate(headers);
          if (principal === null)
            throw new HearthError(
              'UNAUTHENTICATED',
              'This needs a credential: a service key or a service_role token.',
            );
          checkTenant(principal, resolved.tenant);
          return principal;
        },
      });
    } catch (error) {
      refuse(outgoing, error, requestId, cors);
    }
  }

  function onUpgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer) {
    const id = uuid7(options.calls.now());
    const headers = readHeaders(incoming.rawHeaders);
    const requestId =
      headers.requestId !== undefined && REQUEST_ID.test(headers.requestId) ? headers.requestId : id;
    const reject = (error: unknown) => startUpgrade.refuse(socket, toHearthError(error), requestId);
    try {
      const resolved = resolve(incoming.url ?? '/', headers);
      if (!('entry' in resolved)) throw new HearthError('NOT_FOUND', 'Nothing here speaks WebSocket.');
      Promise.resolve(admit(headers, resolved, false))
        .then((principal) => {
          const request: UpgradeRequest = {
            ...describe(incoming, headers, resolved, principal, id, requestId),
            rawHeaders: incoming.rawHeaders,
            socket,
            head,
          };
          startUpgrade(options.calls, request);
        })
        .catch(reject);
    } catch (error) {
      reject(error);
    }
  }

  function resolve(url: string, headers: ReadHeaders): Resolved | { tenant: string; path: string } {
    if (headers.hosts > 1)
      throw new HearthError('INVALID_REQUEST', 'The request has more than one Host header.');
    const target = readTarget(url);
    if (target.kind === 'invalid') throw new HearthError('INVALID_REQUEST', target.reason);
    const tenant = target.tenant ?? tenantOfHost(headers.host) ?? 'default';
    if (!functions.hasTenant(tenant)) throw new HearthError('NOT_FOUND', 'There is no such tenant.');
    if (target.kind === 'other') {
      const query = target.path.indexOf('?');
      const pathname = query < 0 ? target.path : target.path.slice(0, query);
      if (!RESERVED.test(pathname)) {
        const match = functions.byRoute(tenant, pathname);
        if (match !== undefined) {
          return { entry: match.entry, tenant, trigger: 'http', path: originForm(url), params: match.params };
        }
      }
      return { tenant, path: target.path };
    }
    const entry = functions.byName(tenant, target.name);
    if (entry === undefined) throw unknownFunction();
    return {
      entry,
      tenant,
      trigger: target.kind === 'invoke' ? 'invoke' : 'http',
      path: target.path,
      params: null,
    };
  }

  function unknownFunction(): HearthError {
    if (options.databaseUp()) return new HearthError('NOT_FOUND', 'There is no such function.');
    return new HearthError('UNAVAILABLE', 'The database is away, and this function is not known here.', {
      retryAfter: 2,
    });
  }

  function tenantOfHost(host: string | undefined): string | null {
    if (options.domain === null || host === undefined) return null;
    const name = host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
    return name.endsWith(`.${options.domain}`) ? name.slice(0, -options.domain.length - 1) : null;
  }

  /** Who may call: at least an anon key, or anyone where the function says so. Null: nobody in particular. */
  function admit(
    headers: ReadHeaders,
    resolved: Resolved,
    preflight: boolean,
  ): Principal | null | Promise<Principal | null> {
    const { meta } = resolved.entry;
    const check = (principal: Principal | null) => {
      // A browser sends no credential with a preflight; the function answers what the platform does not.
      if (principal === null && !meta.allow_unauthenticated && !preflight) {
        throw new HearthError(
          'UNAUTHENTICATED',
          'This function needs a credential: an anon key at least, as Authorization: Bearer or apikey.',
        );
      }
      if (principal !== null) checkTenant(principal, resolved.tenant);
      if (!meta.enabled) throw new HearthError('FUNCTION_DISABLED', `The function ${meta.name} is disabled.`);
      return principal;
    };
    const found = options.authenticator.authenticate(headers);
    if (!(found instanceof Promise)) return check(found);
    // A function for everyone may have an Authorization scheme of its own.
    return found
      .catch((error: unknown) => {
        if (meta.allow_unauthenticated) return null;
        throw error;
      })
      .then(check);
  }

  function call(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    headers: ReadHeaders,
    resolved: Resolved,
    principal: Principal | null,
    id: string,
    requestId: string,
  ) {
    if (outgoing.destroyed) return;
    const { maxRequestBytes } = options.calls;
    if (headers.length !== undefined && headers.length > maxRequestBytes) {
      const cors = resolved.entry.corsHeaders(headers.origin);
      return refuse(outgoing, requestTooLarge(maxRequestBytes), requestId, cors);
    }
    const description = describe(incoming, headers, resolved, principal, id, requestId);
    new Call(options.calls, description, incoming, outgoing).start();
  }

  function describe(
    incoming: IncomingMessage,
    headers: ReadHeaders,
    resolved: Resolved,
    principal: Principal | null,
    executionId: string,
    requestId: string,
  ): CallDescription {
    const { entry } = resolved;
    const { forwarded } = headers;
    const address = incoming.socket.remoteAddress ?? '';
    // Each header costs on both sides of the socket, so there is none that says what another one says.
    if (headers.host !== undefined) forwarded.push('host', headers.host);
    if (requestId !== executionId) forwarded.push('x-request-id', requestId);
    forwarded.push('x-execution-id', executionId, 'traceparent', traceparent(headers, executionId));
    forwarded.push(
      'x-forwarded-for',
      headers.forwardedFor === undefined ? address : `${headers.forwardedFor}, ${address}`,
    );
    if (resolved.params !== null)
      forwarded.push('x-hearth-params', encodeHeader(JSON.stringify(resolved.params)));
    if (principal === null) forwarded.push('x-hearth-user-role', 'none');
    else if (principal.role !== 'anon') {
      forwarded.push('x-hearth-user-role', principal.role);
      if (principal.userId !== undefined) forwarded.push('x-hearth-user-id', encodeHeader(principal.userId));
      if (principal.userEmail !== undefined)
        forwarded.push('x-hearth-user-email', encodeHeader(principal.userEmail));
      // The process's own token is an anon one; a caller who may more has the function may as much.
      forwarded.push('x-hearth-token', options.mint.tokenFor(principal, resolved.tenant));
      if (principal.role === 'admin') hideCredentials(forwarded);
    }
    const scheme = headers.forwardedProto === 'https' ? 'https' : 'http';
    const cors = entry.corsHeaders(headers.origin);
    const answerHeaders = ['x-request-id', requestId, 'x-execution-id', executionId];
    return {
      fn: entry.meta,
      series: entry.series(resolved.trigger),
      trigger: resolved.trigger,
      executionId,
      requestId,
      url: `${scheme}://${hostOf(headers.host)}${resolved.path}`,
      hasBody: headers.hasBody,
      framedBody: framedBody(incoming.method ?? 'GET', headers),
      headers: forwarded,
      answerHeaders: cors.length === 0 ? answerHeaders : answerHeaders.concat(cors),
    };
  }

  function refuse(outgoing: ServerResponse, thrown: unknown, requestId: string, extra: readonly string[]) {
    const error = toHearthError(thrown);
    if (error.code === 'INTERNAL') options.onError(thrown, requestId);
    answerError(outgoing, error, { requestId }, extra);
  }

  return { onRequest, onUpgrade };
}

function answeredPreflight(
  outgoing: ServerResponse,
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

/** Methods whose request may have a body, and those that a `Request` can have at all (the Fetch standard). */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Bytes of the body where the call suits a frame, else null. HEAD is left to HTTP, whose server leaves out the body. */
function framedBody(method: string, headers: ReadHeaders): number | null {
  if (!headers.hasBody) return method === 'GET' || WITH_BODY.has(method) ? 0 : null;
  const { length } = headers;
  return length !== undefined && length <= MAX_FRAMED_BODY && WITH_BODY.has(method) ? length : null;
}

/** The Fetch standard's CORS preflight. */
function isPreflight(incoming: IncomingMessage, headers: ReadHeaders): boolean {
  return incoming.method === 'OPTIONS' && headers.origin !== undefined && headers.requestMethod !== undefined;
}

function checkTenant(principal: Principal, tenant: string) {
  if (principal.tenant !== null && principal.tenant !== tenant) {
    throw new HearthError('FORBIDDEN', 'The credential belongs to another tenant.');
  }
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
function traceparent(headers: ReadHeaders, executionId: string): string {
  const given = headers.traceparent;
  if (given !== undefined && /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.test(given))
    return given;
  const hex = executionId.replaceAll('-', '');
  return `00-${hex}-${hex.slice(16)}-00`;
}

const HOST =
  /^(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::(?:[0-5]?\d{1,4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]))?$/;

function hostOf(host: string | undefined): string {
  return host !== undefined && HOST.test(host) ? host : 'localhost';
}

function originForm(url: string): string {
  return url.startsWith('/') ? url : `/${url.replace(/^https?:\/\/[^/]*\/?/i, '')}`;
}
