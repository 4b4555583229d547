/** A small OTLP receiver (HTTP, JSON) on loopback: what was exported to it, decoded. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  traceState: string | undefined;
  name: string;
  /** As OTLP numbers them: 1 internal, 2 server, 3 client. */
  kind: number;
  /** Unix ms. */
  start: number;
  end: number;
  attributes: Record<string, unknown>;
  /** 0 unset, 1 ok, 2 error. */
  status: number;
  events: { name: string; attributes: Record<string, unknown> }[];
  scope: string;
  resource: Record<string, unknown>;
}

export interface ReceivedLog {
  traceId: string | undefined;
  spanId: string | undefined;
  severity: string;
  body: unknown;
  attributes: Record<string, unknown>;
  scope: string;
  resource: Record<string, unknown>;
}

export interface OtlpReceiver {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  readonly logs: ReceivedLog[];
  /** `Content-Type` and path of each request. */
  readonly requests: string[];
  trace(traceId: string): ReceivedSpan[];
  /** From now on requests get no answer until this is called with false. */
  hang(on: boolean): void;
  stop(): Promise<void>;
}

interface Value {
  stringValue?: string;
  intValue?: string | number;
  doubleValue?: number;
  boolValue?: boolean;
  arrayValue?: { values?: Value[] };
}
type Pairs = { key: string; value: Value }[] | undefined;

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const logs: ReceivedLog[] = [];
  const requests: string[] = [];
  let hanging = false;
  let waiting: (() => void)[] = [];

  const server = createServer(async (request, response) => {
    const body = await read(request);
    if (hanging) await new Promise<void>((resolve) => waiting.push(resolve));
    requests.push(`${request.headers['content-type']} ${request.url}`);
    if (request.headers['content-type'] === 'application/json') {
      if (request.url === '/v1/traces') spans.push(...readSpans(JSON.parse(body.toString('utf8'))));
      if (request.url === '/v1/logs') logs.push(...readLogs(JSON.parse(body.toString('utf8'))));
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    logs,
    requests,
    trace: (traceId) => spans.filter((span) => span.traceId === traceId),
    hang(on) {
      hanging = on;
      if (on) return;
      for (const go of waiting) go();
      waiting = [];
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// biome-ignore lint/suspicious/noExplicitAny: the protocol's JSON, of which each part is looked at below
function readSpans(message: any): ReceivedSpan[] {
  const found: ReceivedSpan[] = [];
  for (const { resource, scopeSpans } of message.resourceSpans ?? []) {
    for (const { scope, spans } of scopeSpans) {
      for (const span of spans) {
        found.push({
          traceId: span.traceId,
          spanId: span.spanId,
          parentSpanId: span.parentSpanId || undefined,
          traceState: span.traceState || undefined,
          name: span.name,
          kind: span.kind,
          start: Number(span.startTimeUnixNano) / 1e6,
          end: Number(span.endTimeUnixNano) / 1e6,
          attributes: pairs(span.attributes),
          status: span.status?.code ?? 0,
          events: (span.events ?? []).map((event: { name: string; attributes: Pairs }) => ({
            name: event.name,
            attributes: pairs(event.attributes),
          })),
          scope: scope.name,
          resource: pairs(resource.attributes),
        });
      }
    }
  }
  return found;
}

// biome-ignore lint/suspicious/noExplicitAny: the protocol's JSON, of which each part is looked at below
function readLogs(message: any): ReceivedLog[] {
  const found: ReceivedLog[] = [];
  for (const { resource, scopeLogs } of message.resourceLogs ?? []) {
    for (const { scope, logRecords } of scopeLogs) {
      for (const record of logRecords) {
        found.push({
          traceId: record.traceId || undefined,
          spanId: record.spanId || undefined,
          severity: record.severityText,
          body: plain(record.body),
          attributes: pairs(record.attributes),
          scope: scope.name,
          resource: pairs(resource.attributes),
        });
      }
    }
  }
  return found;
}

function pairs(given: Pairs): Record<string, unknown> {
  return Object.fromEntries((given ?? []).map(({ key, value }) => [key, plain(value)]));
}

function plain(value: Value): unknown {
  if (value.intValue !== undefined) return Number(value.intValue);
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plain);
  return value.stringValue ?? value.doubleValue ?? value.boolValue;
}
