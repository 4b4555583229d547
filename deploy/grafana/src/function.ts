/** Function: one function of one tenant, for its author and for whoever looks into its errors. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { board, FUNCTIONS, node, toExecutions, toPool, toTenant, toTraces, variable } from './board.js';
import { heat, lines, number, OUTCOMES } from './panels.js';
import { CALLS, percentiles, quantile, rate, share } from './queries.js';

const calls = rate(`${CALLS}_count`, FUNCTIONS);
const errors = rate('faas_errors_total', FUNCTIONS);
const timeouts = rate('faas_timeouts_total', FUNCTIONS);

export function fn(): Dashboard {
  return board({
    uid: 'hearth-function',
    title: 'Hearth / Function',
    description: 'Calls, errors, durations, waiting and use of one function.',
    variables: [
      variable('tenant', 'Tenant', `label_values(${CALLS}_count{job="hearth"}, hearth_tenant)`, {
        multi: false,
      }),
      variable(
        'function',
        'Function',
        `label_values(${CALLS}_count{job="hearth", hearth_tenant=~"$tenant"}, faas_name)`,
        {
          multi: false,
        },
      ),
      node,
    ],
    links: [toTraces('{ .faas.name = "${function}" }')],
    rows: [
      {
        title: '$tenant / $function',
        panels: [
          number({
            title: 'Calls',
            description: 'Calls per second.',
            unit: 'reqps',
            width: 4,
            links: [toTenant],
            queries: [{ expr: rate(`${CALLS}_count`, FUNCTIONS, 'hearth_tenant'), legend: 'calls' }],
          }),
          number({
            title: 'Errors',
            description: 'Share of the calls that ended in an error.',
            unit: 'percentunit',
            width: 4,
            limits: { yellow: 0.01, red: 0.1 },
            queries: [{ expr: share(errors, calls), legend: 'errors' }],
          }),
          number({
            title: 'Timeouts',
            description: 'Share of the calls that ran into the time limit.',
            unit: 'percentunit',
            width: 4,
            limits: { yellow: 0.001, red: 0.01 },
            queries: [{ expr: share(timeouts, calls), legend: 'timeouts' }],
          }),
          number({
            title: 'Duration, p95',
            description: '95 of 100 calls take no longer.',
            unit: 's',
            width: 4,
            queries: [{ expr: quantile(0.95, CALLS, FUNCTIONS), legend: 'p95' }],
          }),
          number({
            title: 'Cold starts',
            description: 'Share of the calls that had to wait for a process to start.',
            unit: 'percentunit',
            width: 4,
            limits: { yellow: 0.1, red: 0.3 },
            queries: [{ expr: share(rate('faas_coldstarts_total', FUNCTIONS), calls), legend: 'cold' }],
          }),
          number({
            title: 'CPU',
            description: 'Cores that its processes use. Sampled once a second.',
            unit: 'short',
            width: 4,
            queries: [{ expr: rate('faas_cpu_usage_seconds_sum', FUNCTIONS), legend: 'cores' }],
          }),
        ],
      },
      {
        title: 'Calls',
        panels: [
          lines({
            title: 'Calls by outcome',
            description: 'Calls per second, by how they ended.',
            unit: 'reqps',
            width: 12,
            stacked: true,
            colours: OUTCOMES,
            links: [toExecutions],
            queries: [
              { expr: rate(`${CALLS}_count`, FUNCTIONS, 'hearth_outcome'), legend: '{{hearth_outcome}}' },
            ],
          }),
          lines({
            title: 'Calls by trigger',
            description: 'Calls per second, by what called: http is a route or the invoke API.',
            unit: 'reqps',
            width: 12,
            stacked: true,
            queries: [
              { expr: rate(`${CALLS}_count`, FUNCTIONS, 'faas_trigger'), legend: '{{faas_trigger}}' },
            ],
          }),
        ],
      },
      {
        title: 'Latency',
        panels: [
          heat({
            title: 'Duration of calls',
            description: 'How many calls took how long, from their arrival to the end of the answer.',
            unit: 's',
            width: 12,
            queries: [{ expr: rate(`${CALLS}_bucket`, FUNCTIONS, 'le'), legend: '{{le}}' }],
          }),
          lines({
            title: 'Duration of calls, percentiles',
            description:
              'The same as percentiles. Points are single calls that have a trace: click on one to see it.',
            unit: 's',
            width: 12,
            queries: percentiles(CALLS, FUNCTIONS, true),
          }),
        ],
      },
      {
        title: 'Starting and waiting',
        panels: [
          lines({
            title: 'Cold starts',
            description: 'Calls per second that waited for a process to start.',
            unit: 'reqps',
            width: 6,
            links: [toPool],
            queries: [{ expr: rate('faas_coldstarts_total', FUNCTIONS), legend: 'cold starts' }],
          }),
          lines({
            title: 'Loading of its code',
            description:
              'How long a process took to load the module: what it imports and does at its top level.',
            unit: 's',
            width: 6,
            queries: percentiles('faas_init_duration_seconds', FUNCTIONS),
          }),
          lines({
            title: 'Wait for a slot',
            description:
              'How long calls waited that found no free slot. Raise max_concurrency or max_instances where it is long.',
            unit: 's',
            width: 6,
            limits: { red: 0.25 },
            queries: percentiles('hearth_queue_wait_seconds', FUNCTIONS),
          }),
          lines({
            title: 'Calls that wait',
            description: 'Calls that wait for a slot now.',
            unit: 'short',
            width: 6,
            queries: [{ expr: `sum(hearth_queue_length{${FUNCTIONS}}) or vector(0)`, legend: 'waiting' }],
          }),
        ],
      },
      {
        title: 'Use',
        panels: [
          lines({
            title: 'Memory of a process',
            description:
              'Resident memory of its processes, of which some 40 MiB are the runtime. Over the limit and 64 MiB a process is replaced.',
            unit: 'bytes',
            width: 12,
            queries: [0.5, 0.99].map((of) => ({
              expr: quantile(of, 'faas_mem_usage_bytes', FUNCTIONS),
              legend: `p${of * 100}`,
            })),
          }),
          lines({
            title: 'CPU',
            description: 'Cores that its processes use, by node.',
            unit: 'short',
            width: 12,
            stacked: true,
            queries: [
              { expr: rate('faas_cpu_usage_seconds_sum', FUNCTIONS, 'instance'), legend: '{{instance}}' },
            ],
          }),
        ],
      },
    ],
  });
}
