/** Overview: whether Hearth is well, at a glance. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { board, NODES, node, rowToFunction, toExecutions, toFunction, toPool, toTraces } from './board.js';
import { now } from './overview_now.js';
import { heat, lines, OUTCOMES, rows } from './panels.js';
import { CALLS, percentiles, REQUESTS, rate } from './queries.js';

const TOP = `topk(20, ${perFunction(`${CALLS}_count`, 'rate')} > 0)`;

export function overview(): Dashboard {
  return board({
    uid: 'hearth-overview',
    title: 'Hearth / Overview',
    description: 'Traffic, errors, latency, cold starts and saturation of all nodes.',
    variables: [node],
    links: [toTraces('{ resource.service.name = "hearth" && kind = server }')],
    rows: [
      now(),
      {
        title: 'Traffic',
        panels: [
          lines({
            title: 'Requests by status',
            description: 'HTTP requests per second, by the status that they were answered with.',
            unit: 'reqps',
            width: 12,
            stacked: true,
            queries: [
              {
                expr: rate(REQUESTS, NODES, 'http_response_status_code'),
                legend: '{{http_response_status_code}}',
              },
            ],
          }),
          lines({
            title: 'Calls by outcome',
            description:
              'Calls of functions per second, by how they ended. A client that went away makes one cancelled.',
            unit: 'reqps',
            width: 12,
            stacked: true,
            colours: OUTCOMES,
            queries: [
              { expr: rate(`${CALLS}_count`, NODES, 'hearth_outcome'), legend: '{{hearth_outcome}}' },
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
            queries: [{ expr: rate(`${CALLS}_bucket`, NODES, 'le'), legend: '{{le}}' }],
          }),
          lines({
            title: 'Duration of calls, percentiles',
            description:
              'The same as percentiles. Points are single calls that have a trace: click on one to see it.',
            unit: 's',
            width: 12,
            queries: percentiles(CALLS, NODES, true),
          }),
        ],
      },
      {
        title: 'Errors',
        panels: [
          lines({
            title: 'Failures by kind',
            description:
              'Requests per second that failed, by the code of the error (docs/errors.md) or the status that a function gave.',
            unit: 'reqps',
            width: 8,
            queries: [
              { expr: rate(REQUESTS, `${NODES}, error_type!=""`, 'error_type'), legend: '{{error_type}}' },
            ],
          }),
          lines({
            title: 'Functions with most errors',
            description: 'Errors and timeouts per second of the ten functions that have most of them.',
            unit: 'reqps',
            width: 8,
            links: [toFunction],
            queries: [
              {
                expr: `topk(10, ${rate('faas_errors_total', NODES, 'hearth_tenant, faas_name')} + ${rate('faas_timeouts_total', NODES, 'hearth_tenant, faas_name')} > 0)`,
                legend: '{{hearth_tenant}}/{{faas_name}}',
              },
            ],
          }),
          lines({
            title: 'Refused by limits',
            description: 'Calls per second that were over a quota or a rate limit, by the limit.',
            unit: 'reqps',
            width: 8,
            queries: [
              { expr: rate('hearth_calls_refused_total', NODES, 'hearth_limit'), legend: '{{hearth_limit}}' },
            ],
          }),
        ],
      },
      {
        title: 'Cold starts and waiting',
        panels: [
          lines({
            title: 'Cold starts by function',
            description:
              'Calls per second that waited for a process to start: the ten functions with most of them.',
            unit: 'reqps',
            width: 8,
            links: [toFunction],
            queries: [
              {
                expr: `topk(10, ${rate('faas_coldstarts_total', NODES, 'hearth_tenant, faas_name')})`,
                legend: '{{hearth_tenant}}/{{faas_name}}',
              },
            ],
          }),
          lines({
            title: 'Wait for a slot',
            description: 'How long calls waited that found no free slot on a process of their function.',
            unit: 's',
            width: 8,
            limits: { red: 0.25 },
            links: [toPool],
            queries: percentiles('hearth_queue_wait_seconds', NODES),
          }),
          lines({
            title: 'Calls that wait',
            description: 'Calls that wait for a slot now, by node.',
            unit: 'short',
            width: 8,
            links: [toPool],
            queries: [
              {
                expr: `sum by (instance) (hearth_queue_length{${NODES}}) or 0 * hearth_pool_limit{${NODES}}`,
                legend: '{{instance}}',
              },
            ],
          }),
        ],
      },
      {
        title: 'Saturation',
        panels: [
          lines({
            title: 'Processes of functions',
            description:
              'Deno processes that belong to a function, as a share of those that a node may have.',
            unit: 'percentunit',
            width: 8,
            max: 1,
            limits: { yellow: 0.8, red: 0.95 },
            links: [toPool],
            queries: [
              {
                expr: `sum by (instance) (hearth_pool_processes{${NODES}, hearth_state!~"blank|spawning"}) / sum by (instance) (hearth_pool_limit{${NODES}})`,
                legend: '{{instance}}',
              },
            ],
          }),
          lines({
            title: 'Busy event loops',
            description:
              'Share of the time that the event loop of the supervisor and of each router was busy. One router is one core.',
            unit: 'percentunit',
            width: 8,
            max: 1,
            limits: { yellow: 0.8, red: 0.95 },
            queries: [
              {
                expr: `nodejs_eventloop_utilization_ratio{${NODES}}`,
                legend: '{{instance}} {{hearth_process}}',
              },
            ],
          }),
          lines({
            title: 'Executions that wait',
            description: 'Executions that are not written yet. Beyond 20,000 a process drops the oldest.',
            unit: 'short',
            width: 8,
            limits: { yellow: 10_000, red: 20_000 },
            links: [toExecutions],
            queries: [{ expr: `hearth_executions_buffered{${NODES}}`, legend: '{{instance}}' }],
          }),
        ],
      },
      {
        title: 'Error budgets',
        panels: [
          lines({
            title: 'Failed by the platform, against the budget',
            description:
              'How many times faster than allowed the budget of 0.1 % is used, over an hour and over six: from 14.4 and 6 on somebody is called. Needs the recording rules.',
            unit: 'short',
            width: 12,
            limits: { yellow: 1, red: 6 },
            queries: [
              { expr: 'job:hearth_requests_failed:ratio_rate1h / 0.001', legend: '1 h' },
              { expr: 'job:hearth_requests_failed:ratio_rate6h / 0.001', legend: '6 h' },
            ],
          }),
          lines({
            title: 'Calls delayed, against the budget',
            description:
              'The same for calls that waited longer than 250 ms for a process, of which 1 % may. Needs the recording rules.',
            unit: 'short',
            width: 12,
            limits: { yellow: 1, red: 6 },
            queries: [
              { expr: 'job:hearth_calls_delayed:ratio_rate1h / 0.01', legend: '1 h' },
              { expr: 'job:hearth_calls_delayed:ratio_rate6h / 0.01', legend: '6 h' },
            ],
          }),
        ],
      },
      {
        title: 'Functions',
        panels: [
          rows(
            {
              title: 'Functions by calls',
              description:
                'The twenty functions that are called most, in the chosen time: a click leads to the function.',
              unit: 'short',
              width: 24,
              links: [rowToFunction],
              queries: [
                { expr: TOP, legend: '' },
                {
                  expr: ofTop(
                    `${perFunction(`${CALLS}_sum`, 'rate')} / ${perFunction(`${CALLS}_count`, 'rate')}`,
                  ),
                  legend: '',
                },
                {
                  expr: ofTop(
                    `${perFunction('faas_errors_total', 'increase')} + ${perFunction('faas_timeouts_total', 'increase')}`,
                  ),
                  legend: '',
                },
                { expr: ofTop(perFunction('faas_coldstarts_total', 'increase')), legend: '' },
              ],
            },
            [
              { name: 'Calls per second', unit: 'reqps' },
              { name: 'Mean duration', unit: 's' },
              { name: 'Errors and timeouts', unit: 'short' },
              { name: 'Cold starts', unit: 'short' },
            ],
          ),
        ],
      },
    ],
  });
}

/** Over the chosen time. */
function perFunction(counter: string, how: 'rate' | 'increase'): string {
  return `sum by (hearth_tenant, faas_name) (${how}(${counter}{${NODES}}[$__range]))`;
}

/** Of the functions that are called most, and of no other ones. */
function ofTop(expr: string): string {
  return `(${expr}) and on (hearth_tenant, faas_name) ${TOP}`;
}
