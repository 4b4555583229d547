// Medians and quantiles, and how figures are written: one JSON line each.

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const below = Math.floor(at);
  const low = sorted[below] ?? Number.NaN;
  const high = sorted[below + 1] ?? low;
  return low + (high - low) * (at - below);
}

export const median = (values) => quantile(values, 0.5);

/** Three figures are more than such a measurement has; whole numbers from 100 on. */
export function round(value) {
  if (!Number.isFinite(value)) return null;
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

const printed = [];

/** What was printed so far. */
export const lines = () => printed;

export function print(line) {
  printed.push(line);
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** `more`: what the figure was made of. */
export function figure(name, value, unit, more = {}) {
  print({ figure: name, value: round(value), unit, ...more });
}
