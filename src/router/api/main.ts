/** The management API: its routes, and how whatever goes wrong in them is answered. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { HearthError } from '../../errors.js';
import { isDatabaseAway } from '../../store/database_errors.js';
import { errorBody, noteError, toHearthError } from '../respond.js';
import { addAuditRoutes } from './audit.js';
import { type Api, type ApiEnv, type ApiOptions, requireScope } from './context.js';
import { addExecutionRoutes } from './executions.js';
import { addFunctionRoutes, MANAGING } from './functions.js';
import { addKeyRoutes } from './keys.js';
import { addLogRoutes } from './logs.js';
import { addOpenApi } from './openapi.js';
import { reloadFromFiles } from './reload.js';
import { addRoute } from './routes.js';
import { ReloadAnswer } from './schemas.js';
import { addSecretRoutes } from './secrets.js';
import { addTenantRoutes } from './tenants.js';
import { addTokenRoutes } from './tokens.js';
import { addUsageRoutes } from './usage.js';

export type { ApiEnv, ApiOptions, LogLine } from './context.js';

/** A hono app whose routes are at their full paths, `/t/<tenant>` taken off before. Answers every error itself. */
export function createApi(options: ApiOptions): Api {
  const api: Api = new OpenAPIHono<ApiEnv>();

  addFunctionRoutes(api, options);
  addExecutionRoutes(api, options);
  addLogRoutes(api, options);
  addTenantRoutes(api, options);
  addUsageRoutes(api, options);
  addAuditRoutes(api, options);
  addKeyRoutes(api, options);
  addTokenRoutes(api, options);
  addSecretRoutes(api, options);
  addRoute(
    api,
    {
      method: 'post',
      path: '/api/v1/admin/functions/reload',
      tag: 'Functions',
      summary: 'Bring the functions that came from files in line with the functions folder',
      answers: { 200: { description: 'What changed, by name', schema: ReloadAnswer } },
      errors: MANAGING,
    },
    async (c) => {
      const { tenant, actor, principal } = await requireScope(c, 'write:functions');
      // The folder is the operator's: its files are nobody else's to deploy.
      if (tenant !== 'default' && principal.role !== 'admin')
        throw new HearthError('FORBIDDEN', 'The functions folder belongs to the default tenant.');
      return c.json(await reloadFromFiles({ ...options, tenant, actor }));
    },
  );
  addOpenApi(api, options.version);

  const answer = (thrown: unknown, c: Context<ApiEnv>) => {
    const error = isDatabaseAway(thrown) ? databaseAway() : toHearthError(thrown);
    const { requestId } = c.env.call;
    noteError(c.env.outgoing, error.code);
    if (error.status >= 500) options.onError?.(error.code === 'INTERNAL' ? thrown : error, requestId);
    const headers: Record<string, string> = { 'content-type': 'application/json', 'x-request-id': requestId };
    if (error.retryAfter !== undefined) headers['retry-after'] = String(error.retryAfter);
    if (error.code === 'UNAUTHENTICATED') headers['www-authenticate'] = 'Bearer realm="hearth"';
    return new Response(errorBody(error, { requestId }), { status: error.status, headers });
  };
  api.onError(answer);
  api.notFound((c) =>
    answer(new HearthError('NOT_FOUND', `There is no ${c.req.method} ${c.req.path.slice(0, 200)} here.`), c),
  );
  return api;
}

function databaseAway(): HearthError {
  return new HearthError('UNAVAILABLE', 'The database is away. Try again shortly.', { retryAfter: 2 });
}
