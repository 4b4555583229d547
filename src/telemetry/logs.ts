/** Records of the log on their way to OpenTelemetry. */
import { askedExporters } from './asked.js';
import type { LogRecord } from './logger.js';
import type { ExportOptions } from './spans.js';

/** A line that a function wrote. */
export interface FunctionLine {
  /** Unix ms. */
  time: number;
  level: 'debug' | 'info' | 'log' | 'warn' | 'error';
  text: string;
  tenant: string;
  function: string;
  executionId: string | null;
  /** The trace that it was written in; null where that is not recorded. */
  trace: { traceId: string; spanId: string } | null;
}

/** Bounded: what comes while it is full is dropped. */
export interface LogSink {
  emit(record: LogRecord): void;
  emitLine(line: FunctionLine): void;
  /** Sends what there is, for at most 3 s. */
  stop(): Promise<void>;
}

/** Null where no OTEL_* variable asks for logs: the SDK is then not even loaded. `onError` must not log to this sink. */
export async function startLogs(options: ExportOptions): Promise<LogSink | null> {
  if (askedExporters(options.env, 'LOGS').length === 0) return null;
  return await (await import('./log_export.js')).startLogExport(options);
}
