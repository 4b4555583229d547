/** How a route of the management API is declared once, for the router and for the OpenAPI document. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { ERROR_STATUS, type ErrorCode } from '../../errors.js';
import type { Api, ApiEnv } from './context.js';
import { ErrorAnswer } from './schemas.js';

export interface RouteOptions {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** With `{name}` for a parameter. */
  path: `/${string}`;
  tag: string;
  summary: string;
  query?: z.ZodObject;
  body?: z.ZodType;
  /** Status and what is answered with it; null: no body. */
  answers: Record<number, { description: string; schema: z.ZodType | null; contentType?: string }>;
  errors: ErrorCode[];
  public?: boolean;
}

type Handler = (c: Context<ApiEnv>) => Promise<Response> | Response;

/** The handler validates by itself (validate.ts), from the schemas that are declared here. */
export function addRoute(api: Api, options: RouteOptions, handler: Handler): void {
  const route = document(api, options);
  const path = route.getRoutingPath();
  api.on(options.method.toUpperCase(), path, (c) => {
    c.env.call.onRoute?.(path);
    return handler(c);
  });
}

/** Declares a route that is served elsewhere. */
export function document(api: Api, options: RouteOptions) {
  const names = [...options.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const request: NonNullable<RouteConfig['request']> = {};
  if (names.length > 0)
    request.params = z.object(Object.fromEntries(names.map((name) => [name, z.string()])));
  if (options.query !== undefined) request.query = options.query;
  if (options.body !== undefined) {
    request.body = { required: true, content: { 'application/json': { schema: options.body } } };
  }
  const route = createRoute({
    method: options.method,
    path: options.path,
    tags: [options.tag],
    summary: options.summary,
    operationId: `${options.method} ${options.path}`.replace(/\W+/g, '_').replace(/_+$/, ''),
    security: options.public ? [] : [{ bearer: [] }, { apikey: [] }, { serviceKey: [] }, { adminKey: [] }],
    request,
    responses: { ...answersOf(options), ...errorsOf(options.errors) },
  });
  api.openAPIRegistry.registerPath(route);
  return route;
}

function answersOf({ answers }: RouteOptions): RouteConfig['responses'] {
  return Object.fromEntries(
    Object.entries(answers).map(([status, { description, schema, contentType = 'application/json' }]) => [
      status,
      schema === null ? { description } : { description, content: { [contentType]: { schema } } },
    ]),
  );
}

function errorsOf(codes: ErrorCode[]): RouteConfig['responses'] {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    byStatus.set(ERROR_STATUS[code], [...(byStatus.get(ERROR_STATUS[code]) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [
      status,
      { description: names.join(', '), content: { 'application/json': { schema: ErrorAnswer } } },
    ]),
  );
}
