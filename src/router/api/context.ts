/** What the management API is given, and what each of its requests carries. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { HearthError } from '../../errors.js';
import type { Store } from '../../store/main.js';
import type { PreparedCode } from '../../store/types.js';
import type { Principal } from '../principal.js';

export interface LogLine {
  execution_id: string | null;
  /** ISO 8601. */
  timestamp: string;
  level: 'debug' | 'info' | 'log' | 'warn' | 'error';
  message: string;
}

export type SourceToPrepare = { code: string; name: string } | { entry: string; root: string; name: string };

export interface ApiOptions {
  store: Pick<Store, 'functions' | 'executions'>;
  /** Throws HearthError INVALID_FUNCTION or TOO_LARGE for code that cannot load. */
  prepare(source: SourceToPrepare): Promise<PreparedCode>;
  /** Resolves when every router of this node serves the change. */
  changed(functionId: string): Promise<void>;
  /** Writes what is buffered, so that a caller sees what it has just done. */
  flushExecutions(): Promise<void>;
  /** Calls back for each line from now on; the returned function ends it. */
  followLogs(functionId: string, onLine: (line: LogLine) => void): () => void;
  functionsDir: string;
  maxCodeBytes: number;
  /** Hearth's own, for the OpenAPI document. */
  version: string;
  /** Told of what is answered with 500 INTERNAL. */
  onError?: (error: unknown, requestId: string) => void;
}

export interface ApiCall {
  tenant: string;
  requestId: string;
  /** Throws HearthError UNAUTHENTICATED or FORBIDDEN. */
  principal: () => Promise<Principal>;
}

export interface ApiEnv {
  Bindings: { incoming: IncomingMessage; outgoing: ServerResponse; call: ApiCall };
}

export type Api = OpenAPIHono<ApiEnv>;

/** Who manages: a service_role token or the admin key. Throws UNAUTHENTICATED or FORBIDDEN for everyone else. */
export async function requireManager(c: Context<ApiEnv>): Promise<Principal> {
  const principal = await c.env.call.principal();
  if (principal.role === 'service_role' || principal.role === 'admin') return principal;
  throw new HearthError(
    'FORBIDDEN',
    `Managing functions needs a service key, not one of the role ${principal.role}.`,
  );
}
