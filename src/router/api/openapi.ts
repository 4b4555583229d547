/** The OpenAPI 3.1 document: the management API from its own schemas, and the routes that are served without it. */
import { z } from '@hono/zod-openapi';
import type { ErrorCode } from '../../errors.js';
import type { Api } from './context.js';
import { document, type RouteOptions } from './routes.js';

const CALLING: ErrorCode[] = [
  ...([
    'UNAUTHENTICATED',
    'FORBIDDEN',
    'FUNCTION_DISABLED',
    'NOT_FOUND',
    'RATE_LIMITED',
    'FUNCTION_ERROR',
  ] as const),
  ...(['FUNCTION_CRASHED', 'MEMORY_LIMIT', 'OVERLOADED', 'UNAVAILABLE', 'FUNCTION_TIMEOUT'] as const),
];
const anything = z.unknown();

export function addOpenApi(api: Api, version: string): void {
  const { openAPIRegistry: registry } = api;
  registry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
  });
  registry.registerComponent('securitySchemes', 'apikey', { type: 'apiKey', in: 'header', name: 'apikey' });
  registry.registerComponent('securitySchemes', 'serviceKey', {
    type: 'apiKey',
    in: 'header',
    name: 'X-Service-Key',
  });
  registry.registerComponent('securitySchemes', 'adminKey', {
    type: 'apiKey',
    in: 'header',
    name: 'X-Admin-Key',
  });

  const methods: RouteOptions['method'][] = ['get', 'post', 'put', 'patch', 'delete'];
  for (const method of methods) {
    document(api, {
      method,
      path: '/functions/v1/{name}',
      tag: 'Calling',
      summary: 'Call a function; any method, any path below it, body and answer streamed',
      answers: { 200: { description: "The function's own answer", schema: anything, contentType: '*/*' } },
      errors: CALLING,
    });
  }
  document(api, {
    method: 'post',
    path: '/api/v1/functions/{name}/invoke',
    tag: 'Calling',
    summary: 'Invoke a function; body and headers go to it, its status, headers and body come back',
    answers: {
      200: { description: "The function's own answer", schema: anything, contentType: '*/*' },
      202: {
        description:
          'With `Prefer: respond-async`: it is made later, and `Location` is where its execution is found',
        schema: z.object({ execution_id: z.uuid() }),
      },
    },
    errors: [...CALLING, 'TOO_LARGE', 'QUOTA_EXCEEDED'],
  });
  document(api, {
    method: 'get',
    path: '/healthz',
    tag: 'Operations',
    summary: 'Whether the process lives',
    answers: { 200: { description: 'It does', schema: anything } },
    errors: [],
    public: true,
  });
  document(api, {
    method: 'get',
    path: '/readyz',
    tag: 'Operations',
    summary: 'Whether the node can serve a call',
    answers: {
      200: { description: 'It can', schema: anything },
      503: { description: 'It cannot, with the reasons', schema: anything },
    },
    errors: [],
    public: true,
  });
  document(api, {
    method: 'get',
    path: '/api/v1/openapi.json',
    tag: 'Operations',
    summary: 'This document',
    answers: { 200: { description: 'OpenAPI 3.1', schema: z.record(z.string(), z.unknown()) } },
    errors: [],
    public: true,
  });

  let text: string | undefined; // made at the first request, after every route is registered
  api.get('/api/v1/openapi.json', (c) => {
    text ??= JSON.stringify(
      api.getOpenAPI31Document({
        openapi: '3.1.0',
        info: {
          title: 'Hearth',
          version,
          description: 'Functions on warm Deno processes. Every path exists under /t/{tenant} as well.',
          license: { name: 'MIT' },
        },
        servers: [{ url: '/' }],
      }),
    );
    return c.body(text, 200, { 'content-type': 'application/json' });
  });
}
