/** Panels as SVG, drawn roughly as Grafana would: for the picture in the documentation, where there is no Grafana. */
import { format, nice, round, text } from './chart_text.js';

export interface Series {
  name: string;
  /** Unix seconds and value. */
  points: [time: number, value: number][];
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Chart {
  title: string;
  unit: string;
  series: Series[];
  from: number;
  to: number;
}

const TEXT = '#ccccdc';
const FAINT = '#8e8e99';
const GRID = '#2c2e33';
const COLORS = [
  '#73bf69',
  '#f2cc0c',
  '#5794f2',
  '#ff9830',
  '#e02f44',
  '#b877d9',
  '#8ab8ff',
  '#96d98d',
  '#ffb357',
  '#c0d8ff',
];

const LINE = 15;
/** Pixels that a letter of the legend takes, roughly. */
const LETTER = 6.7;

export function frame({ x, y, width, height }: Box, title: string): string {
  return (
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="3" fill="#181b1f" stroke="#25282d"/>` +
    text(x + 8, y + 17, title, { size: 12, color: TEXT, weight: 500 })
  );
}

export function heading(x: number, y: number, title: string): string {
  return text(x, y, title, { size: 13, color: TEXT, weight: 600 });
}

/** One number with its way there below. */
export function numberChart(box: Box, chart: Chart, color: string): string {
  const series = chart.series[0];
  const last = series?.points.at(-1)?.[1];
  const shown = last === undefined ? '–' : format(last, chart.unit);
  const area: Box = { x: box.x, y: box.y + box.height * 0.55, width: box.width, height: box.height * 0.45 };
  const highest = Math.max(...(series?.points ?? []).map(([, value]) => value), 0) * 1.15 || 1;
  const path = series === undefined ? '' : line(series.points, scale(chart, area, highest));
  const below = series === undefined ? '' : closed(series.points, scale(chart, area, highest), area);
  return (
    frame(box, chart.title) +
    (path === '' ? '' : `<path d="${path}${below}" fill="${color}" opacity="0.18"/>`) +
    (path === '' ? '' : `<path d="${path}" fill="none" stroke="${color}" stroke-width="1"/>`) +
    text(box.x + box.width / 2, box.y + box.height * 0.62, shown, {
      size: 26,
      color,
      weight: 500,
      anchor: 'middle',
    })
  );
}

/** Lines, or areas on top of each other. `max` where the unit has one. */
export function lineChart(
  box: Box,
  chart: Chart,
  { stacked = false, max }: { stacked?: boolean; max?: number } = {},
): string {
  const { svg, height } = legend(box, chart.series);
  const area = plot(box, height);
  const layers = stacked ? stack(chart.series) : chart.series;
  const values = layers.flatMap(({ points }) => points.map(([, value]) => value));
  const top = max ?? nice(Math.max(...values, 0));
  const at = scale(chart, area, top);
  let drawn = axes(chart, area, top);
  // The highest layer first, so that each lower one lies on it.
  for (const [index, { points }] of [...layers.entries()].reverse()) {
    const color = colorOf(index);
    const path = line(points, at);
    if (path === '') continue;
    if (stacked) drawn += `<path d="${path}${closed(points, at, area)}" fill="${mixed(color)}"/>`;
    drawn += `<path d="${path}" fill="none" stroke="${color}" stroke-width="1.2" stroke-linejoin="round"/>`;
  }
  return frame(box, chart.title) + drawn + svg;
}

/** A column for each moment, a row for each bucket; the series are cumulative, named by their upper bounds. */
export function heatChart(box: Box, chart: Chart): string {
  const area = plot(box, 0);
  const buckets = chart.series
    .map(({ name, points }) => ({
      bound: name === '+Inf' ? Number.POSITIVE_INFINITY : Number(name),
      points: new Map(points),
    }))
    .sort((a, b) => a.bound - b.bound);
  const times = [...new Set(chart.series.flatMap(({ points }) => points.map(([time]) => time)))].sort(
    (a, b) => a - b,
  );
  const cells = times.flatMap((time) =>
    buckets.map(({ points }, row) => {
      const below = row === 0 ? 0 : (buckets[row - 1]?.points.get(time) ?? 0);
      return { time, row, value: Math.max(0, (points.get(time) ?? 0) - below) };
    }),
  );
  const filled = cells.filter(({ value }) => value > 1e-9);
  const rows = filled.map(({ row }) => row);
  const [lowest, highest] = [Math.min(...rows), Math.max(...rows)];
  if (rows.length === 0) return frame(box, chart.title);
  const most = Math.max(...filled.map(({ value }) => value));
  const rowHeight = area.height / (highest - lowest + 1);
  const step = Math.min(
    ...times.slice(1).map((time, index) => time - (times[index] ?? 0)),
    chart.to - chart.from,
  );
  const columnWidth = (step / (chart.to - chart.from)) * area.width;
  let drawn = '';
  for (const { time, row, value } of filled) {
    const strength = Math.sqrt(value / most);
    const x = area.x + ((time - chart.from) / (chart.to - chart.from)) * area.width - columnWidth;
    if (x < area.x - 1) continue;
    const y = area.y + (highest - row) * rowHeight;
    drawn += `<rect x="${round(x)}" y="${round(y)}" width="${round(columnWidth - 0.6)}" height="${round(rowHeight - 0.6)}" fill="${orange(strength)}"/>`;
  }
  for (let row = lowest; row <= highest; row += 2) {
    const bound = buckets[row]?.bound ?? 0;
    const label = Number.isFinite(bound) ? format(bound, chart.unit) : '∞';
    drawn += text(area.x - 6, area.y + (highest - row) * rowHeight + 4, label, {
      size: 10,
      color: FAINT,
      anchor: 'end',
    });
  }
  return frame(box, chart.title) + timeLabels(chart, area) + drawn;
}

function plot({ x, y, width, height }: Box, below: number): Box {
  return { x: x + 58, y: y + 30, width: width - 70, height: height - 30 - 24 - below };
}

type Scale = (point: readonly [number, number]) => [x: number, y: number];

function scale({ from, to }: Pick<Chart, 'from' | 'to'>, area: Box, top: number): Scale {
  return ([time, value]) => [
    area.x + ((time - from) / (to - from)) * area.width,
    area.y + area.height - (Math.min(value, top) / top) * area.height,
  ];
}

function line(points: Series['points'], at: Scale): string {
  return points
    .filter(([, value]) => Number.isFinite(value))
    .map((point, index) => `${index === 0 ? 'M' : 'L'}${at(point).map(round).join(' ')}`)
    .join('');
}

/** From the end of a line along the ground to below its beginning: what makes an area of it. */
function closed(points: Series['points'], at: Scale, area: Box): string {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return '';
  const ground = round(area.y + area.height);
  return `L${round(at(last)[0])} ${ground}L${round(at(first)[0])} ${ground}Z`;
}

function stack(series: Series[]): Series[] {
  const sums = new Map<number, number>();
  return series.map(({ name, points }) => ({
    name,
    points: points.map(([time, value]) => {
      const sum = (sums.get(time) ?? 0) + (Number.isFinite(value) ? value : 0);
      sums.set(time, sum);
      return [time, sum];
    }),
  }));
}

function axes(chart: Chart, area: Box, top: number): string {
  let drawn = '';
  for (let step = 0; step <= 4; step++) {
    const y = area.y + area.height - (step / 4) * area.height;
    drawn += `<path d="M${area.x} ${round(y)}H${round(area.x + area.width)}" stroke="${GRID}" stroke-width="1"/>`;
    drawn += text(area.x - 6, y + 3, format((step / 4) * top, chart.unit), {
      size: 10,
      color: FAINT,
      anchor: 'end',
    });
  }
  return drawn + timeLabels(chart, area);
}

function timeLabels({ from, to }: Chart, area: Box): string {
  const count = area.width > 400 ? 6 : 4;
  return Array.from({ length: count }, (_, index) => {
    const share = (index + 0.5) / count;
    const time = new Date((from + share * (to - from)) * 1000).toISOString().slice(11, 16);
    return text(area.x + share * area.width, area.y + area.height + 16, time, {
      size: 10,
      color: FAINT,
      anchor: 'middle',
    });
  }).join('');
}

/** What fits into three lines. */
function legend(box: Box, series: Series[]): { svg: string; height: number } {
  let x = box.x + 10;
  let row = 0;
  const entries: { x: number; row: number; name: string; color: string }[] = [];
  for (const [index, { name }] of series.entries()) {
    const width = 22 + name.length * LETTER;
    if (x + width > box.x + box.width - 8 && x > box.x + 10) {
      x = box.x + 10;
      row++;
    }
    if (row > 2) break;
    entries.push({ x, row, name, color: colorOf(index) });
    x += width;
  }
  const height = (entries.at(-1)?.row ?? 0) * LINE + LINE;
  const bottom = box.y + box.height - height;
  const svg = entries
    .map(
      ({ x, row, name, color }) =>
        `<rect x="${round(x)}" y="${round(bottom + row * LINE - 1)}" width="10" height="3" rx="1" fill="${color}"/>` +
        text(x + 14, bottom + row * LINE + 4, name, { size: 10.5, color: TEXT }),
    )
    .join('');
  return { svg, height };
}

function colorOf(index: number): string {
  return COLORS[index % COLORS.length] ?? TEXT;
}

/** On the panel's ground, with 40 % of the colour. */
function mixed(color: string): string {
  const ground = [0x18, 0x1b, 0x1f];
  const parts = [1, 3, 5].map((at, index) => {
    const part = Number.parseInt(color.slice(at, at + 2), 16);
    return Math.round(0.4 * part + 0.6 * (ground[index] ?? 0));
  });
  return `rgb(${parts.join(',')})`;
}

function orange(strength: number): string {
  const [low, high] = [
    [58, 38, 24],
    [255, 173, 84],
  ];
  return `rgb(${[0, 1, 2].map((at) => Math.round((low?.[at] ?? 0) + strength * ((high?.[at] ?? 0) - (low?.[at] ?? 0)))).join(',')})`;
}
