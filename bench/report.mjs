// `--report`: the figures of this run into docs/benchmarks.md, and their charts into docs/images/.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { lineChart } from './chart.mjs';

const DOCS = new URL('../docs/', import.meta.url);
const BEGIN = '<!-- figures: written by npm run bench -- --report -->';
const END = '<!-- end of figures -->';
const PEERS = { b: 'bare proxy', c: 'workerd', f: 'Hearth' };

export async function writeReport(printed) {
  const charts = chartsOf(printed);
  await mkdir(new URL('images/', DOCS), { recursive: true });
  for (const { file, svg } of charts) await writeFile(new URL(`images/${file}`, DOCS), svg);
  const path = new URL('benchmarks.md', DOCS);
  const page = await readFile(path, 'utf8');
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from < 0 || to < from) throw new Error(`${fileURLToPath(path)} has no place for the figures`);
  await writeFile(path, page.slice(0, from) + blockOf(printed, charts) + page.slice(to));
}

function blockOf(printed, charts) {
  const [versions] = printed;
  const rows = printed
    .filter(({ figure }) => figure.startsWith('target: '))
    .map(
      ({ figure, value, target, met }) =>
        `| ${figure.slice(8)} ${target} | ${value} | ${met ? 'met' : '**missed**'} |`,
    );
  return [
    BEGIN,
    '',
    `## ${versions.date}`,
    '',
    `${versions.cores} cores of ${versions.cpu}, ${versions.memory_gib} GiB, ${versions.platform}; Node ${versions.node}, Deno ${versions.deno}, workerd ${versions.workerd}. Nothing else was running.`,
    '',
    '| target | here | |',
    '|---|---|---|',
    ...rows,
    '',
    ...charts.flatMap(({ file, title }) => [`![${title}](images/${file})`, '']),
    'What the run printed:',
    '',
    '```json',
    ...printed.map((line) => JSON.stringify(line)),
    '```',
    '',
  ].join('\n');
}

/** Only of what was measured in this run. */
function chartsOf(printed) {
  const of = (name) => printed.filter(({ figure }) => figure === name);
  const charts = [];
  const add = (file, chart) => charts.push({ file, title: chart.title, svg: lineChart(chart) });

  const throughput = of('throughput_by_connections');
  if (throughput.length > 0) {
    add('bench-throughput.svg', {
      title: 'Throughput by concurrency',
      x: { label: 'connections', log: true },
      y: { label: 'requests/s' },
      series: Object.entries(PEERS).map(([peer, name]) => ({
        name,
        points: throughput.filter((each) => each.peer === peer).map((each) => [each.connections, each.value]),
      })),
    });
  }
  const latency = of('half_load_latency');
  if (latency.length > 0) {
    add('bench-latency.svg', {
      title: `Latency at half load, ${latency[0].connections} connections`,
      x: {
        label: 'share of the answers that came within',
        format: (share) => `${Math.round(share * 100)} %`,
        ticks: latency[0].quantiles.map(([share]) => share),
      },
      y: { label: 'ms', log: true },
      series: latency.map(({ peer, quantiles }) => ({ name: PEERS[peer], points: quantiles })),
    });
  }
  const [cold] = of('first_call_p50');
  if (cold !== undefined) {
    const sorted = [...cold.each].sort((a, b) => a - b);
    add('bench-first-call.svg', {
      title: 'First call of a small function',
      x: { label: 'share of the functions', format: (share) => `${Math.round(share * 100)} %` },
      y: { label: 'ms' },
      series: [{ name: 'Hearth', points: sorted.map((ms, n) => [(n + 1) / sorted.length, ms]) }],
    });
  }
  const bundles = of('first_call_by_bundle');
  if (bundles.length > 0) {
    add('bench-bundles.svg', {
      title: 'First call by the size of the bundle',
      x: { label: 'kB of JavaScript' },
      y: { label: 'ms' },
      series: [
        { name: 'p50', points: bundles.map(({ bundle_kb, value }) => [bundle_kb, value]) },
        { name: 'p99', points: bundles.map(({ bundle_kb, p99 }) => [bundle_kb, p99]) },
      ],
    });
  }
  const memory = of('node_rss_by_functions');
  if (memory.length > 0) {
    add('bench-functions.svg', {
      title: 'Cost by the number of deployed functions',
      x: { label: 'functions', log: true },
      y: { label: 'MiB, or ms' },
      series: [
        {
          name: 'memory of supervisor and router, MiB',
          points: memory.map((each) => [each.functions, each.value]),
        },
        {
          name: 'start, ms',
          points: of('start_by_functions').map((each) => [each.functions, each.value]),
        },
      ],
    });
  }
  return charts;
}
