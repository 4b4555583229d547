/** The log of a process: one line for each record, JSON or readable, and the same to OpenTelemetry where it is asked for. */
import { formatJson, formatText } from './log_format.js';
import { createLogLimit } from './log_limit.js';
import { scrub, scrubFields } from './log_scrub.js';
import type { LogSink } from './logs.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** What is known where the record is made. Names that stand for credentials are kept out of the line. */
export interface LogFields {
  /** 32 hexadecimal digits. */
  trace_id?: string;
  span_id?: string;
  tenant?: string;
  function?: string;
  request_id?: string;
  execution_id?: string;
  /** What was thrown. */
  error?: unknown;
  [name: string]: unknown;
}

export interface LogRecord {
  /** Unix ms. */
  time: number;
  level: LogLevel;
  message: string;
  /** Scrubbed; `error` is what `describeError` makes of it. */
  fields: LogFields;
}

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** From now on records go to OpenTelemetry too; null: no more. */
  exportTo(sink: LogSink | null): void;
  /** Tells of what was left out so far. */
  flush(): void;
}

export interface LoggerOptions {
  /** The least that is logged. */
  level: LogLevel;
  format: 'json' | 'text';
  /** Whether text may have colours. */
  colours: boolean;
  /** Such as `supervisor` or `router-1`. */
  process: string;
  /** Gets whole lines. */
  write(lines: string): void;
  /** Unix ms. */
  now?: () => number;
}

/** How the same record is kept from filling the log: so many of it in so many ms, and then their number. */
const MOST = 10;
const WINDOW_MS = 10_000;

export function createLogger(options: LoggerOptions): Logger {
  const now = options.now ?? Date.now;
  const least = LOG_LEVELS.indexOf(options.level);
  const limit = createLogLimit({ most: MOST, windowMs: WINDOW_MS });
  let sink: LogSink | null = null;
  let timer: NodeJS.Timeout | null = null;

  function log(level: LogLevel, message: string, fields: LogFields) {
    if (LOG_LEVELS.indexOf(level) < least) return;
    const time = now();
    tellSuppressed(time);
    const clean = scrub(message);
    if (limit.admit(level, clean, time)) return emit(time, level, clean, fields);
    timer ??= setTimeout(() => {
      timer = null;
      tellSuppressed(now());
    }, WINDOW_MS).unref();
  }

  /** Of windows that are over at `until`. */
  function tellSuppressed(time: number, until = time) {
    for (const { level, message, count } of limit.due(until))
      emit(time, level, `${message} (${count} more like it in ${WINDOW_MS / 1000} s)`, { suppressed: count });
  }

  function emit(time: number, level: LogLevel, message: string, fields: LogFields) {
    const record = { time, level, message, fields: { process: options.process, ...scrubFields(fields) } };
    options.write(options.format === 'json' ? formatJson(record) : formatText(record, options.colours));
    sink?.emit(record);
  }

  return {
    debug: (message, fields = {}) => log('debug', message, fields),
    info: (message, fields = {}) => log('info', message, fields),
    warn: (message, fields = {}) => log('warn', message, fields),
    error: (message, fields = {}) => log('error', message, fields),
    exportTo(given) {
      sink = given;
    },
    flush() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      tellSuppressed(now(), Number.POSITIVE_INFINITY);
    },
  };
}

/** For whoever reports what went wrong as one value: an error, or a sentence that is for the operator to know. */
export function reportTo(log: Logger): (problem: unknown, fields?: LogFields) => void {
  return (problem, fields = {}) => {
    if (typeof problem === 'string') log.warn(problem, fields);
    else if (problem instanceof Error) log.error(problem.message, { ...fields, error: problem });
    else log.error('Something was thrown that is no error', { ...fields, error: problem });
  };
}

/** Of this process, to standard error. */
export function openLog(
  name: string,
  settings: { level: LogLevel; format: 'json' | 'text'; colours: boolean },
): Logger {
  return createLogger({
    ...settings,
    process: name,
    write: (lines) => void process.stderr.write(lines),
  });
}
