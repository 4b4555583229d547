// Charts as SVG, by hand: lines over a logarithmic or even axis, readable on light and on dark ground.
const WIDTH = 720;
const HEIGHT = 360;
const LEFT = 70;
const RIGHT = 20;
const TOP = 50;
const BOTTOM = 60;
const COLOURS = ['#d9480f', '#1971c2', '#2f9e44', '#9c36b5', '#868e96'];
const INK = '#868e96';

/**
 * `series`: `[{ name, points: [[x, y], …] }]`. `x`, `y`: `{ label, log?, format?, ticks? }`; on a logarithmic axis all values are
 * above 0.
 */
export function lineChart({ title, x, y, series }) {
  const all = series.flatMap(({ points }) => points);
  const across = scale(
    x,
    all.map(([value]) => value),
    LEFT,
    WIDTH - RIGHT,
    false,
  );
  const up = scale(
    y,
    all.map(([, value]) => value),
    HEIGHT - BOTTOM,
    TOP,
    true,
  );
  const parts = [];
  for (const tick of up.ticks) {
    const at = up.at(tick);
    parts.push(
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="${INK}" stroke-opacity=".25"/>`,
    );
    parts.push(text(LEFT - 8, at + 4, format(tick, y), 'end'));
  }
  for (const tick of across.ticks)
    parts.push(text(across.at(tick), HEIGHT - BOTTOM + 20, format(tick, x), 'middle'));
  for (const [n, { name, points }] of series.entries()) {
    const colour = COLOURS[n % COLOURS.length];
    const path = points.map(([px, py]) => `${across.at(px)},${up.at(py)}`).join(' ');
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2.5"/>`);
    for (const [px, py] of points)
      parts.push(`<circle cx="${across.at(px)}" cy="${up.at(py)}" r="3.5" fill="${colour}"/>`);
    const place = LEFT + 10 + n * Math.floor((WIDTH - LEFT - RIGHT) / series.length);
    parts.push(`<rect x="${place}" y="32" width="12" height="4" fill="${colour}"/>`);
    parts.push(text(place + 18, 38, name, 'start'));
  }
  parts.push(text(LEFT, 18, title, 'start', 15));
  parts.push(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, x.label, 'middle'));
  parts.push(
    `<text transform="translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle" font-size="12" fill="${INK}">${asText(y.label)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" role="img" aria-label="${asText(title)}">\n${parts.join('\n')}\n</svg>\n`;
}

function scale({ log = false, ticks: given }, values, from, to, fromZero) {
  const high = Math.max(...values);
  const low = fromZero ? baseOf(values, log) : Math.min(...values);
  const of = log ? Math.log10 : (value) => value;
  const span = of(high) - of(low) || 1;
  // A little room above the highest point.
  const reach = fromZero ? span * 1.08 : span;
  const ticks = given ?? ticksOf(values, low, { log, fromZero });
  return {
    ticks: ticks.length > 10 ? ticks.filter((_, n) => n % Math.ceil(ticks.length / 10) === 0) : ticks,
    at: (value) => Math.round((from + ((of(value) - of(low)) / reach) * (to - from)) * 10) / 10,
  };
}

/** Where the axis of heights begins: a logarithmic one has no 0. */
function baseOf(values, log) {
  const least = Math.min(...values);
  return log ? roundOnes(least / 10, least).at(-1) : 0;
}

function ticksOf(values, low, { log, fromZero }) {
  const high = Math.max(...values);
  if (!log) return even(low, high);
  // Points stand above their values where these are chosen; heights are read off.
  return fromZero ? roundOnes(low, high) : [...new Set(values)].sort((a, b) => a - b);
}

/** 1, 2, 5, 10, 20, 50 …, likewise 0.1, 0.2, 0.5: those from `low` to `high`. */
function roundOnes(low, high) {
  const found = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10)
    found.push(...[1, 2, 5].map((factor) => factor * power).filter((each) => each >= low && each <= high));
  return found;
}

/** Round values, some five of them. */
function even(low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const ticks = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) ticks.push(value);
  return ticks;
}

function format(value, { format: own }) {
  if (own !== undefined) return own(value);
  return value >= 1000
    ? `${Math.round(value / 100) / 10} k`.replace('.0 k', ' k')
    : String(Math.round(value * 100) / 100);
}

function text(x, y, content, anchor, size = 12) {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="${size}" fill="${INK}">${asText(content)}</text>`;
}

function asText(content) {
  return content.replace(/[<>&"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
