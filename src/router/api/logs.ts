/** A function's log as server-sent events: what is stored, or what happens from now on. */
import { z } from '@hono/zod-openapi';
import { type Api, type ApiOptions, type LogLine, requireScope } from './context.js';
import { findFunction, MANAGING } from './functions.js';
import { addRoute } from './routes.js';
import { LogsQuery } from './schemas.js';
import { validate } from './validate.js';

/** Events that may wait for a slow reader; beyond, lines are left out and counted. */
const MAX_WAITING = 1000;
/** Proxies close connections that are silent for long: a comment keeps this one. */
const KEEP_ALIVE_MS = 15_000;
const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
};

export function addLogRoutes(api: Api, options: ApiOptions): void {
  addRoute(
    api,
    {
      method: 'get',
      path: '/api/v1/functions/{name}/logs',
      tag: 'Executions',
      summary: "A function's log: the lines of its last executions, or with follow=true those to come",
      query: LogsQuery,
      answers: {
        200: {
          description:
            'Server-sent events, a line each: `data: {"execution_id","timestamp","level","message"}`. ' +
            'Stored lines carry the time of their execution and the level "log". ' +
            'An event named `dropped` says how many lines a slow reader has missed. `limit` counts executions.',
          schema: z.string(),
          contentType: 'text/event-stream',
        },
      },
      errors: [...MANAGING, 'NOT_FOUND', 'INVALID_REQUEST'],
    },
    async (c) => {
      const { tenant } = await requireScope(c, 'read:executions');
      const { follow, limit } = validate(LogsQuery, c.req.query());
      const { id } = await findFunction(options, tenant, c.req.param('name'));
      if (follow === 'true')
        return new Response(following(options, id, c.req.raw.signal), { headers: HEADERS });
      await options.flushExecutions();
      const executions = await options.store.executions.list(tenant, id, { limit });
      const events = executions.reverse().flatMap((execution) =>
        (execution.logs ?? '').split('\n').flatMap((message) =>
          message === ''
            ? []
            : event({
                execution_id: execution.id,
                timestamp: execution.executed_at.toISOString(),
                level: 'log',
                message,
              }),
        ),
      );
      return new Response(events.join(''), { headers: HEADERS });
    },
  );
}

function following(
  { followLogs }: ApiOptions,
  functionId: string,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let stop = () => {};
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        let dropped = 0;
        const send = (text: string) => {
          if ((controller.desiredSize ?? 0) <= 0) return false;
          controller.enqueue(encoder.encode(text));
          return true;
        };
        const onLine = (line: LogLine) => {
          if (dropped > 0 && send(`event: dropped\ndata: {"lines":${dropped}}\n\n`)) dropped = 0;
          if (dropped > 0 || !send(event(line))) dropped++;
        };
        const unfollow = followLogs(functionId, onLine);
        const keepAlive = setInterval(() => send(': still here\n\n'), KEEP_ALIVE_MS);
        stop = () => {
          clearInterval(keepAlive);
          unfollow();
        };
        signal.addEventListener('abort', () => stop(), { once: true });
        send(': following\n\n'); // the client sees at once that it is connected
      },
      cancel: () => stop(),
    },
    { highWaterMark: MAX_WAITING },
  );
}

function event(line: LogLine): string {
  return `data: ${JSON.stringify(line)}\n\n`;
}
