/** Pool and capacity: the Deno processes, those ready and those of functions, and the processes of the node itself. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { board, NODES, node, toFunction } from './board.js';
import { lines, number } from './panels.js';
import { percentiles, rate } from './queries.js';

const OF_FUNCTIONS = `hearth_pool_processes{${NODES}, hearth_state!~"blank|spawning"}`;
const BLANK = `hearth_pool_processes{${NODES}, hearth_state="blank"}`;

export function pool(): Dashboard {
  return board({
    uid: 'hearth-pool',
    title: 'Hearth / Pool and capacity',
    description: 'Whether there are processes enough, what they cost to start and why they end.',
    variables: [node],
    rows: [
      {
        title: 'Now',
        panels: [
          number({
            title: 'Ready',
            description:
              'Blank processes that wait to become a function. 0 while calls wait means cold starts that take their full time.',
            unit: 'short',
            width: 4,
            limits: { yellow: 2, red: 1, low: true },
            queries: [{ expr: `sum(${BLANK})`, legend: 'blank' }],
          }),
          number({
            title: 'Of functions',
            description: 'Processes that belong to a function.',
            unit: 'short',
            width: 4,
            queries: [{ expr: `sum(${OF_FUNCTIONS}) or vector(0)`, legend: 'processes' }],
          }),
          number({
            title: 'Of those that may be',
            description: 'Processes of functions as a share of HEARTH_MAX_PROCESSES, all nodes together.',
            unit: 'percentunit',
            width: 4,
            limits: { yellow: 0.8, red: 0.95 },
            queries: [
              {
                expr: `(sum(${OF_FUNCTIONS}) or vector(0)) / sum(hearth_pool_limit{${NODES}})`,
                legend: 'share',
              },
            ],
          }),
          number({
            title: 'Calls that wait',
            description: 'Calls that wait for a slot now.',
            unit: 'short',
            width: 4,
            limits: { yellow: 1, red: 50 },
            queries: [{ expr: `sum(hearth_queue_length{${NODES}}) or vector(0)`, legend: 'waiting' }],
          }),
          number({
            title: 'Memory kills',
            description: 'Processes that ended within the chosen time because they were over their memory.',
            unit: 'short',
            width: 4,
            limits: { yellow: 1, red: 10 },
            queries: [
              {
                expr: `sum(increase(hearth_pool_ended_total{${NODES}, hearth_reason="memory"}[$__range]))`,
                legend: 'ended',
              },
            ],
          }),
          number({
            title: 'Routers that died',
            description: 'Routers that died within the chosen time and were forked again.',
            unit: 'short',
            width: 4,
            limits: { yellow: 1, red: 3 },
            queries: [
              { expr: `sum(increase(hearth_router_restarts_total{${NODES}}[$__range]))`, legend: 'restarts' },
            ],
          }),
        ],
      },
      {
        title: 'Processes',
        panels: [
          lines({
            title: 'Processes by state',
            description:
              'Deno processes: spawning and blank ones are nobody’s yet; starting, live and draining ones belong to a function.',
            unit: 'short',
            width: 12,
            stacked: true,
            queries: [
              { expr: `sum by (hearth_state) (hearth_pool_processes{${NODES}})`, legend: '{{hearth_state}}' },
            ],
          }),
          lines({
            title: 'Processes by memory class',
            description: 'Deno processes by the MiB of heap that they may have.',
            unit: 'short',
            width: 12,
            stacked: true,
            queries: [
              {
                expr: `sum by (hearth_memory_class) (hearth_pool_processes{${NODES}})`,
                legend: '{{hearth_memory_class}} MiB',
              },
            ],
          }),
          lines({
            title: 'Ready, and to be ready',
            description:
              'Blank processes by node, and HEARTH_POOL_SIZE. The pool fills up behind each claim.',
            unit: 'short',
            width: 12,
            queries: [
              { expr: `sum by (instance) (${BLANK})`, legend: '{{instance}}' },
              { expr: `max(hearth_pool_size{${NODES}})`, legend: 'HEARTH_POOL_SIZE' },
            ],
          }),
          lines({
            title: 'Ends by reason',
            description:
              'Processes per second that ended, by why. idle, superseded, evicted and shutdown are matters of course; docs/metrics.md has the rest.',
            unit: 'ops',
            width: 12,
            stacked: true,
            queries: [
              { expr: rate('hearth_pool_ended_total', NODES, 'hearth_reason'), legend: '{{hearth_reason}}' },
            ],
          }),
        ],
      },
      {
        title: 'Starting',
        panels: [
          lines({
            title: 'Claims',
            description: 'Processes per second that became a function’s, by their memory class.',
            unit: 'ops',
            width: 6,
            stacked: true,
            queries: [
              {
                expr: rate('hearth_pool_claim_duration_seconds_count', NODES, 'hearth_memory_class'),
                legend: '{{hearth_memory_class}} MiB',
              },
            ],
          }),
          lines({
            title: 'Duration of a claim',
            description:
              'From asking for a process to having it specialised: the wait for a blank one and the loading of the code are in it.',
            unit: 's',
            width: 6,
            queries: percentiles('hearth_pool_claim_duration_seconds', NODES),
          }),
          lines({
            title: 'Duration of a spawn',
            description:
              'From the spawn of a blank process to its being ready. It grows when the machine is busy.',
            unit: 's',
            width: 6,
            queries: percentiles('hearth_pool_spawn_duration_seconds', NODES),
          }),
          lines({
            title: 'Wait for a slot',
            description: 'How long calls waited that found no free slot on a process of their function.',
            unit: 's',
            width: 6,
            limits: { red: 0.25 },
            queries: percentiles('hearth_queue_wait_seconds', NODES),
          }),
          lines({
            title: 'What a start is made of',
            description:
              'Mean duration of the stages of giving a function a process: waiting for a blank one, code and secrets, environment and permissions, the import of the module.',
            unit: 's',
            width: 6,
            stacked: true,
            queries: [
              {
                expr: `${rate('hearth_start_stage_duration_seconds_sum', NODES, 'hearth_stage')} / ${rate('hearth_start_stage_duration_seconds_count', NODES, 'hearth_stage')}`,
                legend: '{{hearth_stage}}',
              },
            ],
          }),
          lines({
            title: 'Functions whose calls wait',
            description: 'Calls that wait for a slot now: the ten functions with most of them.',
            unit: 'short',
            width: 6,
            links: [toFunction],
            queries: [
              {
                expr: `topk(10, sum by (hearth_tenant, faas_name) (hearth_queue_length{${NODES}}))`,
                legend: '{{hearth_tenant}}/{{faas_name}}',
              },
            ],
          }),
          lines({
            title: 'Look-ups of code',
            description:
              'Look-ups of prepared code per second that found it on disk, and those that had to ask the database.',
            unit: 'ops',
            width: 6,
            queries: [
              { expr: rate('hearth_code_cache_hits_total', NODES), legend: 'on disk' },
              { expr: rate('hearth_code_cache_misses_total', NODES), legend: 'from the database' },
              { expr: rate('hearth_code_cache_evictions_total', NODES), legend: 'removed' },
            ],
          }),
          lines({
            title: 'Code on disk',
            description: 'Bytes of prepared code in the data directory, which HEARTH_CODE_CACHE_MB bounds.',
            unit: 'bytes',
            width: 6,
            queries: [{ expr: `hearth_code_cache_bytes{${NODES}}`, legend: '{{instance}}' }],
          }),
        ],
      },
      {
        title: 'Supervisor and routers',
        panels: [
          lines({
            title: 'Event-loop delay, p99',
            description:
              'How late the event loop was, 99th percentile. Its measurement takes 10 ms of it: an idle process shows about that.',
            unit: 's',
            width: 6,
            limits: { yellow: 0.1, red: 0.25 },
            queries: [
              {
                expr: `nodejs_eventloop_delay_p99_seconds{${NODES}}`,
                legend: '{{instance}} {{hearth_process}}',
              },
            ],
          }),
          lines({
            title: 'Busy event loops',
            description: 'Share of the time that each event loop was busy. One router is one core.',
            unit: 'percentunit',
            width: 6,
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
            title: 'Memory',
            description: 'Resident memory of the supervisor and of each router.',
            unit: 'bytes',
            width: 6,
            queries: [
              { expr: `process_memory_usage_bytes{${NODES}}`, legend: '{{instance}} {{hearth_process}}' },
            ],
          }),
          lines({
            title: 'Uptime',
            description: 'Time since each of them started. A router that begins anew has died.',
            unit: 's',
            width: 6,
            queries: [
              { expr: `process_uptime_seconds{${NODES}}`, legend: '{{instance}} {{hearth_process}}' },
            ],
          }),
        ],
      },
    ],
  });
}
