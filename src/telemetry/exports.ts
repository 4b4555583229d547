/** What a process sends of its own to OpenTelemetry besides metrics: spans and logs, each where a variable asks for it. */
import { type LogSink, startLogs } from './logs.js';
import { type ExportOptions, type SpanSink, startSpans } from './spans.js';

export interface Exports {
  spans: SpanSink | null;
  logs: LogSink | null;
}

export async function startExports(options: ExportOptions): Promise<Exports> {
  const [spans, logs] = await Promise.all([startSpans(options), startLogs(options)]);
  return { spans, logs };
}
