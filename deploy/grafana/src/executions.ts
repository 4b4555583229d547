/** Executions and database: what is written, what waits, and what the database takes for it. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { board, NODES, node } from './board.js';
import { lines, number } from './panels.js';
import { orZero, percentiles, quantile, rate } from './queries.js';

const OPERATIONS = 'db_client_operation_duration_seconds';

export function executions(): Dashboard {
  return board({
    uid: 'hearth-executions',
    title: 'Hearth / Executions and database',
    description: 'The way of executions into PostgreSQL, and how it answers.',
    variables: [node],
    rows: [
      {
        title: 'Now',
        panels: [
          number({
            title: 'Database',
            description: 'Share of the nodes whose database answered last.',
            unit: 'percentunit',
            width: 6,
            limits: { yellow: 1, red: 0.5, low: true },
            queries: [{ expr: `avg(hearth_database_up{${NODES}})`, legend: 'answers' }],
          }),
          number({
            title: 'Written',
            description: 'Executions per second that were written.',
            unit: 'ops',
            width: 6,
            queries: [{ expr: rate('hearth_executions_written_total', NODES), legend: 'written' }],
          }),
          number({
            title: 'Waiting',
            description: 'Executions that are not written yet. Beyond 20,000 a process drops the oldest.',
            unit: 'short',
            width: 6,
            limits: { yellow: 10_000, red: 20_000 },
            queries: [{ expr: `sum(hearth_executions_buffered{${NODES}})`, legend: 'waiting' }],
          }),
          number({
            title: 'Lost',
            description: 'Executions that were lost within the chosen time.',
            unit: 'short',
            width: 6,
            limits: { red: 1 },
            queries: [
              { expr: `sum(increase(hearth_executions_dropped_total{${NODES}}[$__range]))`, legend: 'lost' },
            ],
          }),
        ],
      },
      {
        title: 'Executions',
        panels: [
          lines({
            title: 'Written',
            description:
              'Executions per second that were written, by node. It follows the calls with a tenth of a second’s delay.',
            unit: 'ops',
            width: 8,
            queries: [
              { expr: rate('hearth_executions_written_total', NODES, 'instance'), legend: '{{instance}}' },
            ],
          }),
          lines({
            title: 'Waiting',
            description:
              'Executions that are not written yet, in all processes of a node. It grows while the database is away or slow.',
            unit: 'short',
            width: 8,
            limits: { yellow: 10_000, red: 20_000 },
            queries: [{ expr: `hearth_executions_buffered{${NODES}}`, legend: '{{instance}}' }],
          }),
          lines({
            title: 'Lost',
            description:
              'Executions per second that were lost because a buffer was full or the database would not have them.',
            unit: 'ops',
            width: 8,
            limits: { red: 0.001 },
            queries: [
              { expr: rate('hearth_executions_dropped_total', NODES, 'instance'), legend: '{{instance}}' },
            ],
          }),
        ],
      },
      {
        title: 'Database',
        panels: [
          lines({
            title: 'Duration of operations, p95',
            description:
              'COPY writes a batch of executions, of 5,000 at most; SELECT is the health check, which asks for nothing.',
            unit: 's',
            width: 8,
            limits: { yellow: 0.5, red: 2 },
            queries: [
              {
                expr: quantile(0.95, OPERATIONS, NODES, 'db_operation_name'),
                legend: '{{db_operation_name}}',
              },
            ],
          }),
          lines({
            title: 'Duration of the health check',
            description: 'How long the database takes to answer nothing: the network and its load.',
            unit: 's',
            width: 8,
            queries: percentiles(OPERATIONS, `${NODES}, db_operation_name="SELECT"`),
          }),
          lines({
            title: 'Operations that fail',
            description:
              'Batches and health checks per second that failed, by SQLSTATE or by what became of the connection.',
            unit: 'ops',
            width: 8,
            limits: { red: 0.001 },
            queries: [
              {
                expr: orZero(rate(`${OPERATIONS}_count`, `${NODES}, error_type!=""`, 'error_type')),
                legend: '{{error_type}}',
              },
            ],
          }),
          lines({
            title: 'Connections',
            description:
              'Connections from the nodes’ addresses, by the pool that they belong to and whether they work.',
            unit: 'short',
            width: 12,
            stacked: true,
            queries: [
              {
                expr: `sum by (db_client_connection_pool_name, db_client_connection_state) (db_client_connection_count{${NODES}})`,
                legend: '{{db_client_connection_pool_name}} {{db_client_connection_state}}',
              },
            ],
          }),
          lines({
            title: 'Answers to the health check',
            description: 'Whether the database answered last, by node: 1 or 0. Asked every two seconds.',
            unit: 'short',
            width: 12,
            max: 1,
            queries: [{ expr: `hearth_database_up{${NODES}}`, legend: '{{instance}}' }],
          }),
        ],
      },
    ],
  });
}
