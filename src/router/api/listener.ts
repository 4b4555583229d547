/** The management API as Node's HTTP server calls it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { ApiCall, ApiOptions } from './context.js';
import { createApi } from './main.js';

/** Answers one request, of which `path` is the URL without `/t/<tenant>`. */
export type ApiListener = (
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  call: ApiCall & { path: string },
) => void;

export function createApiListener(options: ApiOptions): ApiListener {
  const api = createApi(options);
  const calls = new WeakMap<IncomingMessage, ApiCall>();
  const listener = getRequestListener(
    (request, env) => {
      const { incoming, outgoing } = env as { incoming: IncomingMessage; outgoing: ServerResponse };
      return api.fetch(request, { incoming, outgoing, call: calls.get(incoming) });
    },
    { overrideGlobalObjects: false },
  );
  return (incoming, outgoing, call) => {
    calls.set(incoming, call);
    incoming.url = call.path;
    outgoing.setHeader('x-request-id', call.requestId);
    void listener(incoming, outgoing);
  };
}
