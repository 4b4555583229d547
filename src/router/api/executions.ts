/** The routes that read executions. */
import { z } from '@hono/zod-openapi';
import { HearthError } from '../../errors.js';
import { type Api, type ApiOptions, requireScope } from './context.js';
import { findFunction, MANAGING } from './functions.js';
import { addRoute } from './routes.js';
import { ExecutionRecord, ExecutionsQuery, toExecution } from './schemas.js';
import { validate } from './validate.js';

const tag = 'Executions';

export function addExecutionRoutes(api: Api, options: ApiOptions): void {
  const { store, flushExecutions } = options;

  addRoute(
    api,
    {
      method: 'get',
      path: '/api/v1/functions/{name}/executions',
      tag,
      summary: "List a function's executions, newest first",
      query: ExecutionsQuery,
      answers: {
        200: { description: 'A page; `before` the last id gives the next', schema: z.array(ExecutionRecord) },
      },
      errors: [...MANAGING, 'NOT_FOUND', 'INVALID_REQUEST'],
    },
    async (c) => {
      const { tenant } = await requireScope(c, 'read:executions');
      const query = validate(ExecutionsQuery, c.req.query());
      const { id } = await findFunction(options, tenant, c.req.param('name'));
      await flushExecutions();
      return c.json((await store.executions.list(tenant, id, query)).map(toExecution));
    },
  );

  addRoute(
    api,
    {
      method: 'get',
      path: '/api/v1/executions/{id}',
      tag,
      summary: 'Read one execution',
      answers: { 200: { description: 'The execution', schema: ExecutionRecord } },
      errors: [...MANAGING, 'NOT_FOUND'],
    },
    async (c) => {
      const { tenant } = await requireScope(c, 'read:executions');
      const id = z.uuid().safeParse(c.req.param('id'));
      if (id.success) {
        await flushExecutions();
        const execution = await store.executions.find(tenant, id.data);
        if (execution !== null) return c.json(toExecution(execution));
      }
      throw new HearthError('NOT_FOUND', 'There is no such execution.');
    },
  );
}
