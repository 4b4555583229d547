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
  | { t: 'v8'; data: string }
  | { t: 'own-cache'; data: string };

/** What a function threw, as far as it can be told. */
export interface Thrown {
  name: string;
  message: string;
  stack: string | null;
}

const LEVELS: readonly unknown[] = ['debug', 'info', 'log', 'warn', 'error'];

/**
 * Reads what a process says: it runs code that nobody trusts, so everything is looked at. Null when it is none of the
 * messages above.
 */
export function readMessage(text: string): FromRunner | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return isMessage(value) ? value : null;
}

function isMessage(value: unknown): value is FromRunner {
  if (!isObject(value)) return false;
  switch (value.t) {
    case 'ready':
      return true;
    case 'claimed':
      return isAmount(value.envMs) && isAmount(value.importMs);
    case 'failed':
      return isThrown(value.error);
    case 'pong':
      return isAmount(value.n);
    case 'log':
      return (value.id === null || isId(value.id)) && isLine(value.line);
    case 'end':
      return isId(value.id) && (value.cpuUs === -1 || isAmount(value.cpuUs));
    case 'hold':
      return typeof value.on === 'boolean';
    case 'v8':
    case 'own-cache':
      return typeof value.data === 'string';
    default:
      return false;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isAmount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

function isId(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 64;
}

function isThrown(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { name, message, stack } = value;
  return (
    typeof name === 'string' && typeof message === 'string' && (stack === null || typeof stack === 'string')
  );
}

function isLine(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [time, level, text]: unknown[] = value;
  // What Date takes (ECMAScript, 21.4.1.1).
  const isTime = isAmount(time) && (time as number) <= 8.64e15;
  return isTime && LEVELS.includes(level) && typeof text === 'string';
}
