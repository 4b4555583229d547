/** Events and schedules: what is due, how late it is, and what becomes of asynchronous calls and ticks. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import {
  board,
  FUNCTIONS,
  NODES,
  node,
  rowToFunction,
  toExecutions,
  toFunction,
  toPool,
  variable,
} from './board.js';
import { lines, number, type PanelSpec, rows } from './panels.js';
import { CALLS, orZero, quantile, rate } from './queries.js';

const ENDED = 'hearth_events_ended_total';
const TRIGGERS = 'faas_trigger=~"timer|datasource|other"';
const OUTCOME = 'hearth_outcome';
const COLOURS = {
  success: 'green',
  error: 'red',
  dead: 'dark-red',
  cancelled: 'blue',
  skipped: 'orange',
} as const;

/** What the database tells every node alike. */
const cluster = (metric: string) => `max(${metric}{${NODES}})`;
/** By function: of those outcomes, or of all. 0, rather than nothing, where there was none. */
function ended(outcomes?: string): string {
  const of = (selector: string) =>
    `sum by (hearth_tenant, faas_name) (increase(${ENDED}{${selector}}[$__range]))`;
  if (outcomes === undefined) return of(FUNCTIONS);
  return `${of(`${FUNCTIONS}, hearth_outcome=~"${outcomes}"`)} or 0 * ${of(FUNCTIONS)}`;
}

export function events(): Dashboard {
  return board({
    uid: 'hearth-events',
    title: 'Hearth / Events and schedules',
    description: 'Calls that are made later, by Prefer: respond-async or by a schedule.',
    variables: [
      variable('tenant', 'Tenant', `label_values(${ENDED}{job="hearth"}, hearth_tenant)`),
      variable(
        'function',
        'Function',
        `label_values(${ENDED}{job="hearth", hearth_tenant=~"$tenant"}, faas_name)`,
      ),
      node,
    ],
    rows: [
      {
        title: 'Now',
        panels: [
          number({
            ...now('Due', 'Due work of the whole cluster that waits for room to run, 100,000 at most.'),
            limits: { yellow: 100, red: 1_000 },
            queries: [{ expr: cluster('hearth_events_due'), legend: 'due' }],
          }),
          number({
            ...now('Lag', 'How long the oldest of it has been due. Beyond a minute there is an alert.', 's'),
            limits: { yellow: 10, red: 60 },
            queries: [{ expr: cluster('hearth_events_lag_seconds'), legend: 'lag' }],
          }),
          number({
            ...now('Running', 'Due work that runs on the chosen nodes.'),
            queries: [{ expr: `sum(hearth_events_running{${NODES}})`, legend: 'running' }],
          }),
          number({
            ...now(
              'Places in use',
              'Share of HEARTH_EVENTS_CONCURRENCY that is in use on the chosen nodes.',
              'percentunit',
            ),
            limits: { yellow: 0.8, red: 0.99 },
            links: [toPool],
            queries: [
              {
                expr: `sum(hearth_events_running{${NODES}}) / (sum(hearth_events_limit{${NODES}}) > 0)`,
                legend: 'in use',
              },
            ],
          }),
          number({
            ...now(
              'Given up',
              'Calls of the whole cluster that were given up, and are kept for somebody to look at.',
            ),
            limits: { yellow: 1 },
            queries: [{ expr: cluster('hearth_events_dead'), legend: 'given up' }],
          }),
          number({
            ...now('Over', 'Due work per second that came to an end, whatever that was.', 'ops'),
            queries: [{ expr: rate(ENDED, FUNCTIONS), legend: 'over' }],
          }),
        ],
      },
      {
        title: 'Waiting',
        panels: [
          lines({
            title: 'Due',
            description:
              'Due work that waits for room, in the whole cluster. It grows while more comes than the nodes have places for, and while calls that somebody waits for go first.',
            unit: 'short',
            width: 8,
            queries: [{ expr: cluster('hearth_events_due'), legend: 'due' }],
          }),
          lines({
            title: 'Lag',
            description: 'How long the oldest of it has been due.',
            unit: 's',
            width: 8,
            limits: { yellow: 10, red: 60 },
            queries: [{ expr: cluster('hearth_events_lag_seconds'), legend: 'lag' }],
          }),
          lines({
            title: 'Running',
            description: 'Due work that runs, by node, and what may run on one of them.',
            unit: 'short',
            width: 8,
            links: [toPool],
            queries: [
              { expr: `hearth_events_running{${NODES}}`, legend: '{{instance}}' },
              { expr: `max(hearth_events_limit{${NODES}})`, legend: 'limit of a node' },
            ],
          }),
        ],
      },
      {
        title: 'What becomes of it',
        panels: [
          lines({
            title: 'Over, by outcome',
            description:
              'success: the function answered, with less than 500. error: a tick failed. dead: a call was given up after its attempts. cancelled: its function was deleted or disabled. skipped: a tick came while the one before it was not over.',
            unit: 'ops',
            width: 12,
            stacked: true,
            colours: COLOURS,
            links: [toExecutions],
            queries: [{ expr: rate(ENDED, FUNCTIONS, OUTCOME), legend: '{{hearth_outcome}}' }],
          }),
          lines({
            title: 'Over, by trigger',
            description: 'timer: a schedule. other: an asynchronous call.',
            unit: 'ops',
            width: 12,
            stacked: true,
            queries: [{ expr: rate(ENDED, FUNCTIONS, 'faas_trigger'), legend: '{{faas_trigger}}' }],
          }),
          lines({
            title: 'Attempts that failed',
            description:
              'Attempts per second that failed, or were lost with a process or a node, and are made again.',
            unit: 'ops',
            width: 8,
            limits: { red: 0.1 },
            links: [toFunction],
            queries: [
              {
                expr: orZero(
                  `topk(10, ${rate('hearth_events_retries_total', FUNCTIONS, 'hearth_tenant, faas_name')})`,
                ),
                legend: '{{hearth_tenant}} {{faas_name}}',
              },
            ],
          }),
          lines({
            title: 'Given up, failed and skipped',
            description:
              'Calls that were given up, ticks that failed, and ticks that were left out because the one before them was not over, per second: the ten functions with most of them.',
            unit: 'ops',
            width: 8,
            limits: { red: 0.1 },
            links: [toFunction],
            queries: [
              {
                expr: orZero(
                  `topk(10, ${rate(ENDED, `${FUNCTIONS}, hearth_outcome=~"dead|error|skipped"`, 'hearth_tenant, faas_name, hearth_outcome')})`,
                ),
                legend: '{{hearth_tenant}} {{faas_name}} {{hearth_outcome}}',
              },
            ],
          }),
          lines({
            title: 'Duration of an attempt, p95',
            description: 'How long an attempt takes, the wait for a process included, by trigger.',
            unit: 's',
            width: 8,
            queries: [
              {
                expr: quantile(0.95, CALLS, `${FUNCTIONS}, ${TRIGGERS}`, 'faas_trigger'),
                legend: '{{faas_trigger}}',
              },
            ],
          }),
        ],
      },
      {
        title: 'Functions',
        panels: [
          rows(
            {
              title: 'Functions',
              description: 'What came to an end in the chosen time, by function, and how.',
              unit: 'short',
              width: 24,
              links: [rowToFunction],
              queries: [
                ended(),
                ended('success'),
                ended('error'),
                ended('cancelled|skipped'),
                ended('dead'),
              ].map((expr) => ({ expr, legend: '' })),
            },
            [
              { name: 'Over', unit: 'short' },
              { name: 'Well', unit: 'short' },
              { name: 'Failed ticks', unit: 'short' },
              { name: 'Cancelled and skipped', unit: 'short' },
              { name: 'Given up', unit: 'short' },
            ],
          ),
        ],
      },
    ],
  });
}

function now(title: string, description: string, unit = 'short'): Omit<PanelSpec, 'queries'> {
  return { title, description, unit, width: 4 };
}
