/** What the supervisor and a Deno process say to each other, as lines of JSON over the control channel. */

/** What the supervisor says. */
export type ToRunner =
  | { t: 'claim'; claim: Claim }
  | { t: 'env'; set: Record<string, string> }
  | { t: 'ping'; n: number };

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
  /** Whether to hand back V8's code cache once the module has run. */
  harvest: boolean;
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
  | { t: 'log'; id: string | null; line: LogLine }
  | { t: 'end'; id: string; cpuUs: number }
  | { t: 'hold'; on: boolean }
  | { t: 'v8'; data: string };

/** What a function threw, as far as it can be told. */
export interface Thrown {
  name: string;
  message: string;
  stack: string | null;
}
