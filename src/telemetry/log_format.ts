/** A record as a line: of JSON for programs, or for a person at a terminal. */
import type { DescribedError } from './log_scrub.js';
import type { LogLevel, LogRecord } from './logger.js';

/** `time` (ISO 8601), `level`, `message`, then the fields. */
export function formatJson({ time, level, message, fields }: LogRecord): string {
  return `${JSON.stringify({ time: new Date(time).toISOString(), level, message, ...fields })}\n`;
}

const COLOUR: Record<LogLevel, number> = { debug: 2, info: 36, warn: 33, error: 31 };

export function formatText({ time, level, message, fields }: LogRecord, colours: boolean): string {
  const paint = (text: string, colour: number) => (colours ? `\x1b[${colour}m${text}\x1b[0m` : text);
  const { error, process, ...others } = fields;
  const cause = (error as DescribedError | undefined)?.cause;
  const said = oneLine(cause === undefined ? message : `${message}: ${cause}`);
  const rest = Object.entries(others).map(([name, value]) => ` ${name}=${oneLine(String(value))}`);
  const at = new Date(time).toISOString().slice(11, 23);
  return `${paint(at, 2)} ${paint(level.padEnd(5), COLOUR[level])} ${process}: ${said}${paint(rest.join(''), 2)}\n`;
}

/** A record is a line, and what it quotes does not steer the terminal. */
function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ↵ ').replace(/[\x00-\x1f\x7f-\x9f]/g, ' ');
}
