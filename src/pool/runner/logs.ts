/** `console.*` of the function: each line goes to the execution that wrote it. */
import type { LogLevel, LogLine, LogOrigin } from '../messages.ts';
import type { Control } from './control.ts';
import type { Execution, Executions } from './execution.ts';
import { slice } from './intrinsics.ts';

/** Bytes of log that one execution may write (the contract's cut). */
const MAX_LOG_BYTES = 64 * 1024;
/** Lines of log that one execution may write. */
const MAX_LOG_LINES = 10_000;
/** Lines outside of any execution are for who watches: so many bytes in so many ms. */
const MAX_LOOSE_BYTES = 64 * 1024;
const LOOSE_WINDOW_MS = 5_000;

export interface Logs {
  write(level: LogLevel, text: string): void;
  /** Where a line of the execution was written, while this node exports lines; null: nobody asks. */
  originOf: ((execution: Execution) => LogOrigin | undefined) | null;
}

export function captureConsole(control: Control, executions: Executions): Logs {
  const now = Date.now;
  const logs: Logs = { write, originOf: null };

  let looseSince = 0;
  let looseBytes = 0;

  function write(level: LogLevel, text: string) {
    const execution = executions.current();
    if (execution === undefined) return writeLoose(level, text);
    if (execution.logBytes > MAX_LOG_BYTES || execution.logLines >= MAX_LOG_LINES) return;
    execution.logged = true;
    execution.logBytes += text.length + 1;
    execution.logLines++;
    let kept = text;
    if (execution.logBytes > MAX_LOG_BYTES) kept = `${slice(text, 0, MAX_LOG_BYTES)} … [logs cut at 64 KiB]`;
    else if (execution.logLines === MAX_LOG_LINES) kept = `${text} … [logs cut at ${MAX_LOG_LINES} lines]`;
    const origin = logs.originOf?.(execution);
    const line: LogLine = [now(), level, kept];
    control.send({ t: 'log', id: execution.id, line, ...(origin === undefined ? {} : { in: origin }) });
  }

  function writeLoose(level: LogLevel, text: string) {
    const time = now();
    if (time - looseSince > LOOSE_WINDOW_MS) {
      looseSince = time;
      looseBytes = 0;
    }
    if (looseBytes > MAX_LOOSE_BYTES) return;
    looseBytes += text.length + 1;
    const cut = looseBytes > MAX_LOOSE_BYTES;
    const kept = cut ? `${slice(text, 0, MAX_LOOSE_BYTES)} … [too much outside of executions]` : text;
    control.send({ t: 'log', id: null, line: [time, level, kept] });
  }

  // Deno's own Console does the formatting, with a printer of ours; it tells levels 0 (debug) to 3 (error).
  const { Console } = (Deno as unknown as DenoInternals)[(Deno as unknown as { internal: symbol }).internal];
  const levels: LogLevel[] = ['debug', 'log', 'warn', 'error'];
  let method: LogLevel | null = null;
  const inner = new Console((text, level) =>
    write(method ?? levels[level] ?? 'log', text.replace(/\n$/, '')),
  );
  // An indentation would be shared by every call of the process: a group is its label alone.
  inner.group = inner.log;
  inner.groupCollapsed = inner.log;
  inner.groupEnd = () => {};
  for (const name of Object.keys(inner)) {
    const print = inner[name];
    if (typeof print !== 'function') continue;
    const own: LogLevel | null = isLevel(name) ? name : null;
    console[name as 'log'] = (...args: unknown[]) => {
      if (own !== null && args.length === 1 && typeof args[0] === 'string') return write(own, args[0]);
      method = own;
      try {
        print.apply(inner, args);
      } finally {
        method = null;
      }
    };
  }
  return logs;
}

/** What Deno 2.9 keeps behind `Deno[Deno.internal]`; its version is pinned. */
interface DenoInternals {
  [key: symbol]: {
    Console: new (
      print: (text: string, level: number) => void,
    ) => Record<string, (...args: unknown[]) => void> & { log(...args: unknown[]): void };
  };
}

function isLevel(name: string): name is LogLevel {
  return name === 'debug' || name === 'info' || name === 'log' || name === 'warn' || name === 'error';
}
