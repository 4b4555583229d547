/** What the supervisor and a Deno process say to each other, as lines of JSON over the control channel. */

/** What the supervisor says. */
export type ToRunner =
  | { t: 'claim'; claim: Claim }
  | { t: 'env'; set: Record<string, string> }
  /** Nothing calls it, and nothing will for a while: memory that it does not need goes back. */
  | { t: 'trim' }
  | { t: 'ping'; n: number }
  /** Asked of a process that will never have a function. */
  | { t: 'own-cache' };

/** Everything that makes a blank process one version of one function, for ever. */
export interface Claim {
  /** Marks the answers' internal header, so that a function cannot write one. */
  token: string;
  function: string;
  tenant: string;
  /** File URL of the module. */
  entry: string;
  env: Record<string, string>;
  permissions: { net: boolean; env: boolean; read: boolean; write: boolean };
  /** V8's code cache of the module, if there is one, as a path that is readable until permissions are narrowed. */
  v8: string | null;
  /** What Deno will recognise the module's text by (source_hash.ts); null where that comes with `v8`. */
  sourceHash: string | null;
  /** Whether to hand back V8's code cache once the module has run. */
  harvest: boolean;
  tracing: Tracing;
}

/** What is exported from this node; none of it where nothing asks for it. */
export interface Tracing {
  spans: boolean;
  /** Whether lines of the log say in which span they were written. */
  logs: boolean;
}

export type LogLevel = 'debug' | 'info' | 'log' | 'warn' | 'error';
/** Unix time in ms, level, text. */
export type LogLine = [number, LogLevel, string];

/** What this process says. */
export type FromRunner =
  | { t: 'ready' }
  | { t: 'claimed'; envMs: number; importMs: number }
  | { t: 'failed'; error: Thrown }
  | { t: 'pong'; n: number }
  /** `in`: the trace and the span that it was written in, where that is recorded. */
  | { t: 'log'; id: string | null; line: LogLine; in?: LogOrigin }
  | { t: 'span'; id: string; of: TraceOrigin; span: FunctionSpan }
  | { t: 'end'; id: string; cpuUs: number }
  | { t: 'hold'; on: boolean }
  | { t: 'v8'; data: string }
  /** The databases of `RUNNER_CACHE_FILES`, in that order, in base64. */
  | { t: 'own-cache'; data: string[] };

export interface LogOrigin {
  of: TraceOrigin;
  span: string;
}

/** What a function threw, as far as it can be told. */
export interface Thrown {
  name: string;
  message: string;
  stack: string | null;
}

export type SpanItem = string | number | boolean;
export type SpanValue = SpanItem | SpanItem[];
export type SpanPairs = [name: string, value: SpanValue][];

/** A span that a function made. How much there may be of each part (`SPAN_LIMITS`) is checked on both sides. */
export interface FunctionSpan {
  /** 16 hexadecimal digits. */
  id: string;
  parent: string;
  name: string;
  /** As OpenTelemetry's API numbers them: internal, server, client, producer, consumer. */
  kind: number;
  /** Unix ms, with fractions. */
  start: number;
  end: number;
  /** As OpenTelemetry's API numbers them: unset, ok, error; and what it says. */
  status: [code: number, message: string];
  attributes: SpanPairs;
  events: [name: string, time: number, attributes: SpanPairs][];
  scope: [name: string, version: string];
}

/**
 * Which trace something belongs to: its id, and that of the span of the call, which the platform gave the process. One that
 * was not given counts for nothing.
 */
export type TraceOrigin = [traceId: string, callSpanId: string];

export const SPAN_LIMITS = {
  /** Spans of one execution, and characters of all their texts. */
  spans: 128,
  characters: 64 * 1024,
  attributes: 64,
  events: 32,
  /** Items of a list. */
  items: 32,
  /** Characters of a name, and of a text. */
  name: 128,
  text: 1024,
} as const;
