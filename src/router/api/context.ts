/** What the management API is given, and what each of its requests carries. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { HearthError } from '../../errors.js';
import type { Store } from '../../store/main.js';
import type { Actor, ImportRecord, PreparedCode } from '../../store/types.js';
import type { Caller } from '../gateway.js';
import type { Principal, Scope } from '../principal.js';

export interface LogLine {
  execution_id: string | null;
  /** ISO 8601. */
  timestamp: string;
  level: 'debug' | 'info' | 'log' | 'warn' | 'error';
  message: string;
}

export type SourceToPrepare = {
  name: string;
  /** What the imports of the version before came to. */
  before?: ImportRecord | null;
  /** The hash of its bundle, where it need not be made again of the same code: `bundle` is then empty. */
  keep?: string;
} & ({ code: string } | { entry: string; root: string });

export interface ApiOptions {
  store: Store;
  /** Throws HearthError INVALID_FUNCTION or TOO_LARGE for code that cannot load. */
  prepare(source: SourceToPrepare): Promise<PreparedCode>;
  /** Resolves when every router of this node serves the change. */
  changed(functionId: string): Promise<void>;
  /** The same for a tenant's settings. */
  tenantChanged(slug: string): Promise<void>;
  /** Resolves when no process of a tenant that is no longer served lives on this node, or they had their time. */
  tenantDrained(slug: string): Promise<void>;
  /** A key is gone: its SHA-256, hex. Other routers hear of it from the database. */
  keyChanged(hash: string): void;
  /** Whether HEARTH_JWT_SECRET says what the default tenant's tokens are signed with. */
  defaultSecretIsSet: boolean;
  /** Writes what is buffered, so that a caller sees what it has just done. */
  flushExecutions(): Promise<void>;
  /** Calls back for each line from now on; the returned function ends it. */
  followLogs(functionId: string, onLine: (line: LogLine) => void): () => void;
  functionsDir: string;
  /** HEARTH_DOMAIN. */
  domain: string | null;
  /** Why there may be no second tenant here; null: there may. */
  singleTenant: string | null;
  maxCodeBytes: number;
  /** Hearth's own, for the OpenAPI document. */
  version: string;
  /** Told of what is answered with 500 or above. */
  onError?: (error: unknown, requestId: string) => void;
}

export interface ApiCall {
  requestId: string;
  /** The client's. */
  address: string;
  /** Throws HearthError UNAUTHENTICATED or FORBIDDEN. */
  caller: () => Promise<Caller>;
  /** Told of the route's template, where somebody wants to know. */
  onRoute?: (route: string) => void;
}

export interface ApiEnv {
  Bindings: { incoming: IncomingMessage; outgoing: ServerResponse; call: ApiCall };
}

export type Api = OpenAPIHono<ApiEnv>;

/** Who may do what a scope stands for, and whose functions it is about. */
export interface Manager {
  tenant: string;
  actor: Actor;
  principal: Principal;
}

/**
 * A service_role token, a service key, the admin key, or an API key that has the scope. Throws UNAUTHENTICATED or
 * FORBIDDEN for everyone else.
 */
export async function requireScope(c: Context<ApiEnv>, scope: Scope): Promise<Manager> {
  const { principal, tenant } = await c.env.call.caller();
  const { role, key } = principal;
  if (key?.kind === 'api' && !key.scopes.includes(scope))
    throw new HearthError('FORBIDDEN', `The API key has not the scope ${scope}.`);
  if (key === undefined && role !== 'service_role' && role !== 'admin')
    throw new HearthError('FORBIDDEN', `This needs a service key, not one of the role ${role}.`);
  return { tenant, principal, actor: actorOf(c, principal) };
}

/** A service_role token, a service key or the admin key: no API key, whatever its scopes. */
export async function requireService(c: Context<ApiEnv>): Promise<Manager> {
  const { principal, tenant } = await c.env.call.caller();
  const { role, key } = principal;
  if (key?.kind === 'api') throw new HearthError('FORBIDDEN', 'This needs a service key, not an API key.');
  if (role !== 'service_role' && role !== 'admin')
    throw new HearthError('FORBIDDEN', `This needs a service key, not one of the role ${role}.`);
  return { tenant, principal, actor: actorOf(c, principal) };
}

/** The admin key alone. */
export async function requireAdmin(c: Context<ApiEnv>): Promise<Manager> {
  const { principal, tenant } = await c.env.call.caller();
  if (principal.role !== 'admin') throw new HearthError('FORBIDDEN', 'This needs the admin key.');
  return { tenant, principal, actor: actorOf(c, principal) };
}

function actorOf(c: Context<ApiEnv>, { role, key, userId }: Principal): Actor {
  const kind =
    key !== undefined
      ? key.kind === 'service'
        ? 'service_key'
        : 'api_key'
      : role === 'admin'
        ? 'admin'
        : 'service_role';
  const { address, requestId } = c.env.call;
  return { kind, id: key?.id ?? userId ?? null, address, request_id: requestId };
}
