/** Tenants: what each one uses, and how far it is with its quotas. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { board, node, TENANTS, toFunction, variable } from './board.js';
import { bars, lines, type PanelSpec, rows } from './panels.js';
import { CALLS, rate } from './queries.js';

const TENANT = 'hearth_tenant';

export function tenants(): Dashboard {
  return board({
    uid: 'hearth-tenants',
    title: 'Hearth / Tenants',
    description: 'Usage and quotas of tenants.',
    variables: [
      variable('tenant', 'Tenant', `label_values(${CALLS}_count{job="hearth"}, hearth_tenant)`),
      node,
    ],
    rows: [
      {
        title: 'Usage',
        panels: [
          rows(
            {
              title: 'Tenants',
              description:
                'Calls, failures and CPU in the chosen time, and the processes that there are now.',
              unit: 'short',
              width: 24,
              queries: [
                `sum by (hearth_tenant) (increase(${CALLS}_count{${TENANTS}}[$__range]))`,
                `sum by (hearth_tenant) (increase(faas_errors_total{${TENANTS}}[$__range])) + sum by (hearth_tenant) (increase(faas_timeouts_total{${TENANTS}}[$__range]))`,
                `sum by (hearth_tenant) (increase(faas_cpu_usage_seconds_sum{${TENANTS}}[$__range]))`,
                `sum by (hearth_tenant) (hearth_tenant_processes{${TENANTS}})`,
                `sum by (hearth_tenant) (hearth_tenant_memory_bytes{${TENANTS}})`,
              ].map((expr) => ({ expr, legend: '' })),
            },
            [
              { name: 'Calls', unit: 'short' },
              { name: 'Errors and timeouts', unit: 'short' },
              { name: 'CPU', unit: 's' },
              { name: 'Processes', unit: 'short' },
              { name: 'Memory that these may use', unit: 'bytes' },
            ],
          ),
          lines({
            ...byTenant('Calls', 'Calls per second: the ten tenants with most of them.', 'reqps'),
            queries: top(rate(`${CALLS}_count`, TENANTS, TENANT)),
          }),
          lines({
            ...byTenant(
              'CPU',
              'Cores that the functions of a tenant use: the ten tenants with most of them.',
              'short',
            ),
            queries: top(rate('faas_cpu_usage_seconds_sum', TENANTS, TENANT)),
          }),
          lines({
            ...byTenant(
              'Processes',
              'Deno processes of a tenant’s functions: the ten tenants with most of them.',
              'short',
            ),
            queries: top(`sum by (hearth_tenant) (hearth_tenant_processes{${TENANTS}})`),
          }),
          lines({
            ...byTenant(
              'Errors and timeouts',
              'Calls per second that failed: the ten tenants with most of them.',
              'reqps',
            ),
            queries: top(
              `${rate('faas_errors_total', TENANTS, TENANT)} + ${rate('faas_timeouts_total', TENANTS, TENANT)}`,
            ),
          }),
          lines({
            ...byTenant(
              'Calls that wait',
              'Calls that wait for a slot now: the ten tenants with most of them.',
              'short',
            ),
            queries: top(`sum by (hearth_tenant) (hearth_queue_length{${TENANTS}})`),
          }),
          lines({
            title: 'Functions',
            description: 'Calls per second: the ten functions of these tenants with most of them.',
            unit: 'reqps',
            width: 8,
            links: [toFunction],
            queries: [
              {
                expr: `topk(10, ${rate(`${CALLS}_count`, TENANTS, 'hearth_tenant, faas_name')})`,
                legend: '{{hearth_tenant}}/{{faas_name}}',
              },
            ],
          }),
        ],
      },
      {
        title: 'Quotas',
        panels: [
          bars({
            title: 'Quotas that are nearly used up',
            description:
              'What is used of a quota, over all nodes: the twenty highest. Calls that routers may still admit without asking count as used.',
            unit: 'percentunit',
            width: 12,
            max: 1,
            limits: { yellow: 0.8, red: 0.95 },
            queries: [
              {
                expr: `topk(20, max by (hearth_tenant, hearth_quota) (hearth_quota_used{${TENANTS}} / hearth_quota_limit{${TENANTS}}))`,
                legend: '{{hearth_tenant}} {{hearth_quota}}',
              },
            ],
          }),
          lines({
            title: 'Refused by limits',
            description: 'Calls per second that were over a quota or a rate limit, by tenant and limit.',
            unit: 'reqps',
            width: 12,
            queries: [
              {
                expr: `topk(10, ${rate('hearth_calls_refused_total', TENANTS, 'hearth_tenant, hearth_limit')})`,
                legend: '{{hearth_tenant}} {{hearth_limit}}',
              },
            ],
          }),
          rows(
            {
              title: 'Quotas',
              description: 'Each quota with what is used of it, in its own unit (docs/quotas.md).',
              unit: 'short',
              width: 24,
              queries: [
                `max by (hearth_tenant, hearth_quota) (hearth_quota_used{${TENANTS}})`,
                `max by (hearth_tenant, hearth_quota) (hearth_quota_limit{${TENANTS}})`,
              ].map((expr) => ({ expr, legend: '' })),
            },
            [
              { name: 'Used', unit: 'short' },
              { name: 'Limit', unit: 'short' },
            ],
          ),
        ],
      },
    ],
  });
}

function byTenant(title: string, description: string, unit: string): Omit<PanelSpec, 'queries'> {
  return { title, description, unit, width: 8 };
}

function top(expr: string) {
  return [{ expr: `topk(10, ${expr})`, legend: '{{hearth_tenant}}' }];
}
