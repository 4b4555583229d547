/** A picture of a dashboard, from the queries of its panels: `npm run dashboards -- --picture http://127.0.0.1:9090`. */
import type { Dashboard, FieldConfig, Panel, Threshold } from '@grafana/grafana-foundation-sdk/dashboard';
import { type Chart, frame, heading, heatChart, lineChart, numberChart, type Series } from './chart.js';

export interface PictureOptions {
  /** Of Prometheus, such as `http://127.0.0.1:9090`. */
  url: string;
  minutes: number;
  /** Rows below this one are left out. */
  lastRow: string;
}

const WIDTH = 1200;
const COLUMN = WIDTH / 24;
const LINE = 30;
const GAP = 8;
const TITLE = 44;
const POINTS = 120;

interface Answer {
  data?: { result: { metric: Record<string, string>; values: [number, string][] }[] };
  error?: string;
}

interface Target {
  expr: string;
  legendFormat: string;
}

export async function picture(dashboard: Dashboard, options: PictureOptions): Promise<string> {
  const to = Math.floor(Date.now() / 1000);
  const span = { from: to - options.minutes * 60, to };
  let drawn = heading(GAP, 27, dashboard.title ?? '');
  let bottom = 0;
  let last = false;
  for (const panel of dashboard.panels ?? []) {
    const { x, y, w, h } = panel.gridPos ?? { x: 0, y: 0, w: 0, h: 0 };
    const box = {
      x: x * COLUMN + GAP / 2,
      y: TITLE + y * LINE,
      width: w * COLUMN - GAP,
      height: h * LINE - GAP,
    };
    if (panel.type === 'row') {
      if (last) break;
      last = panel.title === options.lastRow;
      drawn += heading(box.x + 4, box.y + 18, panel.title ?? '');
    } else drawn += await drawPanel(panel as Panel, box, span, options.url);
    bottom = Math.max(bottom, box.y + h * LINE);
  }
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${bottom}" viewBox="0 0 ${WIDTH} ${bottom}" ` +
    `font-family="Inter, Helvetica, Arial, sans-serif"><rect width="${WIDTH}" height="${bottom}" fill="#111217"/>${drawn}</svg>\n`
  );
}

async function drawPanel(
  panel: Panel,
  box: Parameters<typeof frame>[0],
  span: { from: number; to: number },
  url: string,
): Promise<string> {
  const defaults: FieldConfig = panel.fieldConfig?.defaults ?? {};
  const title = panel.title ?? '';
  const series: Series[] = [];
  for (const target of panel.targets ?? [])
    series.push(...(await ask(target as unknown as Target, span, url)));
  const chart: Chart = { title, unit: defaults.unit ?? 'short', series, ...span };
  switch (panel.type) {
    case 'stat': {
      const value = series[0]?.points.at(-1)?.[1];
      return numberChart(box, chart, colorAt(defaults.thresholds?.steps ?? [], value ?? 0));
    }
    case 'heatmap':
      return heatChart(box, chart);
    case 'timeseries': {
      const stacked = defaults.custom?.stacking?.mode === 'normal';
      return lineChart(box, chart, { stacked, ...(defaults.max == null ? {} : { max: defaults.max }) });
    }
    default:
      return frame(box, title);
  }
}

async function ask(
  { expr, legendFormat }: Target,
  span: { from: number; to: number },
  url: string,
): Promise<Series[]> {
  const step = Math.max(1, Math.round((span.to - span.from) / POINTS));
  const query = expr
    .replaceAll(/\$\w*(?:node|tenant|function)\b/g, '.*')
    .replaceAll('$__rate_interval', `${Math.max(30, 4 * step)}s`)
    .replaceAll('$__range', `${span.to - span.from}s`);
  const asked = new URLSearchParams({ query, start: `${span.from}`, end: `${span.to}`, step: `${step}` });
  const answer = (await (
    await fetch(`${url}/api/v1/query_range`, { method: 'POST', body: asked })
  ).json()) as Answer;
  if (answer.data === undefined) throw new Error(`${query}: ${answer.error}`);
  return answer.data.result.map(({ metric, values }) => ({
    name: legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? ''),
    points: values.map(([time, value]): [number, number] => [time, Number(value)]),
  }));
}

const NAMED: Readonly<Record<string, string>> = { green: '#73bf69', yellow: '#f2cc0c', red: '#e02f44' };

function colorAt(steps: Threshold[], value: number): string {
  const reached = steps.filter((step) => step.value === null || value >= step.value);
  return NAMED[reached.at(-1)?.color ?? ''] ?? '#73bf69';
}
