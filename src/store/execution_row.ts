/** An execution as one line of COPY's text format (PostgreSQL's manual, COPY, "Text Format"). On the busiest path. */
import { cut64k } from './cut.js';
import type { Execution } from './types.js';

/** The columns in the order of the line, with the type that each text is read as. */
export const EXECUTION_COLUMNS = [
  ['id', 'uuid'],
  ['executed_at', 'timestamptz'],
  ['completed_at', 'timestamptz'],
  ['duration_ms', 'double precision'],
  ['cpu_ms', 'double precision'],
  ['status_code', 'smallint'],
  ['cold_start', 'boolean'],
  ['status', 'text'],
  ['function_id', 'uuid'],
  ['version', 'int'],
  ['tenant', 'text'],
  ['function_name', 'text'],
  ['trigger_type', 'text'],
  ['request_id', 'text'],
  ['trigger_payload', 'json'],
  ['result', 'text'],
  ['logs', 'text'],
  ['error_message', 'text'],
  ['error_stack', 'text'],
] as const;

export type ToLine = (execution: Execution) => string;

/**
 * Makes the function that turns executions into lines, `\n` included. PostgreSQL takes no NUL in text: they are left
 * out. Lone surrogates become U+FFFD when the line is encoded as UTF-8. Texts are cut at 64 KiB.
 */
export function createToLine(): ToLine {
  const time = createToTimestamp();
  const head = createToHead();
  return (e) =>
    // Ids, numbers and the names of kinds have no character that would have to be escaped.
    `${e.id}\t${time(e.executed_at)}\t${e.completed_at === null ? NULL : time(e.completed_at)}\t${thousandths(
      e.duration_ms,
    )}\t${e.cpu_ms === null ? NULL : thousandths(e.cpu_ms)}\t${e.status_code ?? NULL}\t${
      e.cold_start ? 't' : 'f'
    }\t${e.status}\t${head(e)}\t${e.request_id === e.id ? e.id : text(e.request_id)}\t${json(
      e.trigger_payload,
    )}\t${nullable(e.result)}\t${nullable(e.logs)}\t${nullable(e.error_message)}\t${nullable(e.error_stack)}\n`;
}

/** What does not change from one execution of a function to the next: made once for those that follow each other. */
function createToHead(): (e: Execution) => string {
  let last: Execution | null = null;
  let made = '';
  return (e) => {
    if (
      last === null ||
      e.function_id !== last.function_id ||
      e.version !== last.version ||
      e.trigger_type !== last.trigger_type ||
      e.function_name !== last.function_name ||
      e.tenant !== last.tenant
    ) {
      last = e;
      made = `${text(e.function_id)}\t${e.version}\t${text(e.tenant)}\t${text(e.function_name)}\t${e.trigger_type}`;
    }
    return made;
  };
}

/** A number of ms to the microsecond, as PostgreSQL reads it: from a whole number the text is made far faster. */
function thousandths(ms: number): string {
  const us = Math.round(ms * 1000);
  return us > MAX_FAST_US ? `${ms}` : `${us}e-3`;
}

/** The texts of a line's columns, null for SQL's null: what PostgreSQL reads in it. */
export function fieldsOf(line: string): (string | null)[] {
  return line
    .slice(0, -1)
    .split('\t')
    .map((field) =>
      field === NULL ? null : field.replace(/\\(.)/g, (_, char: string) => UNESCAPED[char] ?? char),
    );
}

const NULL = '\\N';
/** Whole numbers up to here are V8's small ones. */
const MAX_FAST_US = 2 ** 30;
const SPECIAL = /[\0\\\n\r\t]/;
const SPECIALS = /[\0\\\n\r\t]/g;
const ESCAPED: Record<string, string> = { '\0': '', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const UNESCAPED: Record<string, string> = { n: '\n', r: '\r', t: '\t' };

function text(value: string): string {
  return SPECIAL.test(value) ? value.replace(SPECIALS, (char) => ESCAPED[char] ?? '') : value;
}

function nullable(value: string | null): string {
  return value === null ? NULL : text(cut64k(value));
}

/** JSON has no end that could be cut off: what is too long is kept as a string of its beginning. */
function json(value: unknown): string {
  if (value === null || value === undefined) return NULL;
  const whole = JSON.stringify(value);
  if (whole === undefined) return NULL;
  const kept = cut64k(whole);
  return text(kept === whole ? whole : JSON.stringify(kept));
}

/** Executions come by the thousands in one second, of which the text is made once. */
function createToTimestamp(): (date: Date) => string {
  let second = Number.NaN;
  let prefix = '';
  return (date) => {
    const ms = date.getTime();
    const now = Math.floor(ms / 1000);
    if (now !== second) {
      prefix = date.toISOString().slice(0, -4);
      second = now;
    }
    const rest = ms - now * 1000;
    return `${prefix}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
  };
}
