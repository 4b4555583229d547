/** Numbers and words in a chart. */

/** The next round number that four steps fit below. */
export function nice(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 4, 5, 8, 10]) if (value <= step * power) return step * power;
  return 10 * power;
}

export function format(value: number, unit: string): string {
  switch (unit) {
    case 'percentunit':
      return `${short(value * 100)}%`;
    case 's':
      return value === 0 ? '0' : value < 1 ? `${short(value * 1000)} ms` : `${short(value)} s`;
    case 'bytes':
      return `${short(value / 1024 / 1024)} MiB`;
    case 'reqps':
      return `${short(value)}/s`;
    default:
      return short(value);
  }
}

function short(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

export interface TextStyle {
  size: number;
  color: string;
  weight?: number;
  anchor?: 'middle' | 'end';
}

export function text(
  x: number,
  y: number,
  content: string,
  { size, color, weight = 400, anchor }: TextStyle,
): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const anchored = anchor === undefined ? '' : ` text-anchor="${anchor}"`;
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" font-weight="${weight}" fill="${color}"${anchored}>${escaped}</text>`;
}
