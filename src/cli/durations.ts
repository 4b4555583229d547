/** Durations as people write them. */
import { CliError } from './errors.js';

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400, y: 365 * 86_400 };

/** `90`, `90s`, `15m`, `1h`, `30d` or `10y` in seconds. @throws CliError */
export function parseDuration(text: string): number {
  const [, digits, unit = 's'] = /^(\d{1,9})([smhdy])?$/.exec(text) ?? [];
  if (digits === undefined)
    throw new CliError(`${JSON.stringify(text)} is no duration: write 90s, 15m, 1h, 30d or 1y`, 2);
  return Number(digits) * SECONDS[unit as keyof typeof SECONDS];
}
