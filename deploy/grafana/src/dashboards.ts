/** All dashboards, by the names of their files. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { events } from './events.js';
import { executions } from './executions.js';
import { fn } from './function.js';
import { overview } from './overview.js';
import { pool } from './pool.js';
import { tenants } from './tenants.js';

export function dashboards(): Dashboard[] {
  return [overview(), fn(), pool(), tenants(), events(), executions()];
}

/** File name → text, as it is committed. */
export function dashboardFiles(): Map<string, string> {
  return new Map(
    dashboards().map((dashboard) => [`${dashboard.uid}.json`, `${JSON.stringify(dashboard, null, 2)}\n`]),
  );
}
