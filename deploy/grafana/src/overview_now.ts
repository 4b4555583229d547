/** The first row of the Overview: six numbers that say whether anything is wrong. */
import { NODES, type Row, toPool } from './board.js';
import { number } from './panels.js';
import { CALLS, OWN_FAILURES, quantile, REQUESTS, rate, share } from './queries.js';

const calls = rate(`${CALLS}_count`, NODES);
const failing = `(${rate('faas_errors_total', NODES)} + ${rate('faas_timeouts_total', NODES)})`;

export function now(): Row {
  return {
    title: 'Now',
    panels: [
      number({
        title: 'Requests',
        description:
          'HTTP requests per second that the routers answer: calls, the management API and the console.',
        unit: 'reqps',
        width: 4,
        queries: [{ expr: rate(REQUESTS, NODES), legend: 'requests' }],
      }),
      number({
        title: 'Failed by the platform',
        description:
          'Share of the requests that got INTERNAL, OVERLOADED or UNAVAILABLE. What functions fail by themselves is not in it. The goal is below 0.1 % over 30 days.',
        unit: 'percentunit',
        width: 4,
        limits: { yellow: 0.001, red: 0.0144 },
        queries: [
          {
            expr: share(rate(REQUESTS, `${NODES}, ${OWN_FAILURES}`), rate(REQUESTS, NODES)),
            legend: 'failed',
          },
        ],
      }),
      number({
        title: 'Functions that fail',
        description: 'Share of the calls that ended in an error of the function or ran into its time limit.',
        unit: 'percentunit',
        width: 4,
        limits: { yellow: 0.01, red: 0.1 },
        queries: [{ expr: share(failing, calls), legend: 'failed' }],
      }),
      number({
        title: 'Duration, p95',
        description: '95 of 100 calls take no longer, from their arrival to the end of the answer.',
        unit: 's',
        width: 4,
        queries: [{ expr: quantile(0.95, CALLS, NODES), legend: 'p95' }],
      }),
      number({
        title: 'Cold starts',
        description: 'Share of the calls that had to wait for a process to start.',
        unit: 'percentunit',
        width: 4,
        limits: { yellow: 0.1, red: 0.2 },
        links: [toPool],
        queries: [{ expr: share(rate('faas_coldstarts_total', NODES), calls), legend: 'cold' }],
      }),
      number({
        title: 'Nodes that answer',
        description: 'Share of the nodes whose metrics can be read.',
        unit: 'percentunit',
        width: 4,
        limits: { yellow: 1, red: 0.5, low: true },
        queries: [{ expr: `avg(up{${NODES}})`, legend: 'up' }],
      }),
    ],
  };
}
