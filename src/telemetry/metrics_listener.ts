/** The operations listener: GET /metrics, and nothing else. */
import { randomUUID } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import { type ErrorCode, messageOf, StartError } from '../errors.js';

const PATH = '/metrics';
/** Prometheus' text format ("Exposition formats"), or OpenMetrics 1.0. */
export type PageFormat = 'prometheus' | 'openmetrics';
const PAGE_TYPE: Record<PageFormat, string> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};
/** A handful of Prometheus servers need one each. */
const MAX_CONNECTIONS = 64;
/** How long stop() lets a page that is being sent go on, in ms. */
const CLOSE_MS = 2000;

export interface MetricsListener {
  /** Where the page is, such as `http://127.0.0.1:9464/metrics`. */
  url: string;
  /** Takes no more requests, and lets the pages being sent finish for at most 2 s. */
  stop(): Promise<void>;
}

export interface MetricsListenerOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Makes the page. Requests of the same format that come while it is being made share it. */
  page: (format: PageFormat) => Promise<string>;
  /** Whether those who ask for OpenMetrics get it. */
  openMetrics: boolean;
  onError: (error: unknown) => void;
}

/** Throws StartError when the address cannot be had. */
export async function listenForScrapes(options: MetricsListenerOptions): Promise<MetricsListener> {
  const { host, port, page, openMetrics, onError } = options;
  const making = new Map<PageFormat, Promise<string>>();
  let stopping = false;

  const server = createServer((request, response) => {
    if (stopping) response.setHeader('connection', 'close');
    if (pathOf(request.url) !== PATH) {
      sendError(response, 404, 'NOT_FOUND', `There is nothing here; the metrics are at ${PATH}.`);
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      sendError(response, 405, 'INVALID_REQUEST', `${PATH} can only be read (GET).`);
    } else {
      const format = openMetrics && wantsOpenMetrics(request.headers.accept) ? 'openmetrics' : 'prometheus';
      let made = making.get(format);
      if (made === undefined) {
        made = page(format).finally(() => making.delete(format));
        making.set(format, made);
      }
      made.then(
        (text) => {
          if (stopping) response.setHeader('connection', 'close');
          response.writeHead(200, {
            'content-type': PAGE_TYPE[format],
            'content-length': Buffer.byteLength(text),
            'cache-control': 'no-store',
          });
          response.end(text);
        },
        (error: unknown) => {
          onError(error);
          sendError(response, 500, 'INTERNAL', 'The metrics could not be collected.');
        },
      );
    }
  });
  server.maxConnections = MAX_CONNECTIONS;

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(startError(error, host, port)));
    server.listen(port, host, resolve);
  });
  server.removeAllListeners('error');
  server.on('error', onError);

  return {
    url: urlOf(server.address(), host),
    async stop() {
      stopping = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Whether the header (RFC 9110, 12.5.1) puts OpenMetrics before, or level with, plain text. */
function wantsOpenMetrics(accept: string | undefined): boolean {
  const quality = { 'application/openmetrics-text': 0, 'text/plain': 0 };
  for (const range of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (type !== 'application/openmetrics-text' && type !== 'text/plain') continue;
    const given = parameters.find((each) => each.startsWith('q='))?.slice(2);
    quality[type] = Math.max(quality[type], given === undefined ? 1 : Number(given) || 0);
  }
  return (
    quality['application/openmetrics-text'] > 0 &&
    quality['application/openmetrics-text'] >= quality['text/plain']
  );
}

function pathOf(url: string | undefined): string {
  return (url ?? '').split('?', 1)[0] ?? '';
}

function sendError(response: ServerResponse, status: number, code: ErrorCode, error: string): void {
  const body = JSON.stringify({ error, code, request_id: randomUUID() });
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

function startError(error: NodeJS.ErrnoException, host: string, port: number): StartError {
  const reason =
    error.code === 'EADDRINUSE'
      ? 'is already in use'
      : error.code === 'EACCES'
        ? 'may not be used by this user'
        : `cannot be listened on (${messageOf(error)})`;
  return new StartError(
    `Port ${port} of ${host} for the metrics ${reason}: set HEARTH_METRICS_PORT to another port, to 0 for any free one, or to off.`,
    { cause: error },
  );
}

/** A listener on every address is reached at the loopback one. */
function urlOf(address: ReturnType<ReturnType<typeof createServer>['address']>, host: string): string {
  if (address === null || typeof address === 'string') throw new Error('The metrics listener has no port.');
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${isIPv6(name) ? `[${name}]` : name}:${address.port}${PATH}`;
}
