/** A dashboard from its rows of panels: places, numbers, variables and the links to its neighbours. */
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import { type Link, type Placed, PROMETHEUS } from './panels.js';

export interface Row {
  title: string;
  panels: Placed[];
}

export interface BoardSpec {
  /** Also the file's name: `hearth-overview`. */
  uid: string;
  title: string;
  description: string;
  variables: dashboard.QueryVariableBuilder[];
  rows: Row[];
  links?: Link[];
}

const COLUMNS = 24;
/** What all dashboards of Hearth bear, and are found by. */
const TAG = 'hearth';

export function board(spec: BoardSpec): dashboard.Dashboard {
  const built = new dashboard.DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.description)
    .tags([TAG])
    .editable()
    .timezone('browser')
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .withVariable(
      new dashboard.DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'),
    );
  for (const variable of spec.variables) built.withVariable(variable);
  built.link(
    new dashboard.DashboardLinkBuilder('Hearth')
      .type(dashboard.DashboardLinkType.Dashboards)
      .tags([TAG])
      .asDropdown(true)
      .includeVars(true)
      .keepTime(true),
  );
  if (spec.links !== undefined) {
    built.withVariable(new dashboard.DatasourceVariableBuilder('traces').label('Traces').type('tempo'));
    for (const { title, url } of spec.links)
      built.link(
        new dashboard.DashboardLinkBuilder(title)
          .type(dashboard.DashboardLinkType.Link)
          .icon('external link')
          .url(url),
      );
  }

  let id = 0;
  let y = 0;
  for (const { title, panels } of spec.rows) {
    id++;
    built.withRow(
      new dashboard.RowBuilder(title).id(id).gridPos({ x: 0, y, w: COLUMNS, h: 1 }).collapsed(false),
    );
    y++;
    let x = 0;
    let tallest = 0;
    for (const { width, height, panel } of panels) {
      if (x + width > COLUMNS) {
        x = 0;
        y += tallest;
        tallest = 0;
      }
      id++;
      built.withPanel(panel({ x, y, w: width, h: height }, id));
      x += width;
      tallest = Math.max(tallest, height);
    }
    y += tallest;
  }
  return built.build();
}

/** A variable of a label's values. `multi`: several, or all of them. */
export function variable(
  name: string,
  label: string,
  query: string,
  { multi = true }: { multi?: boolean } = {},
): dashboard.QueryVariableBuilder {
  const built = new dashboard.QueryVariableBuilder(name)
    .label(label)
    .datasource(PROMETHEUS)
    .query({ query, refId: name })
    .definition(query)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.NaturalAsc)
    .multi(multi);
  if (!multi) return built;
  return built
    .includeAll(true)
    .allValue('.*')
    .current({ selected: true, text: ['All'], value: ['$__all'] });
}

export const node = variable('node', 'Node', 'label_values(hearth_pool_limit{job="hearth"}, instance)');

/** The series of the chosen nodes. */
export const NODES = 'job="hearth", instance=~"$node"';
/** Of these, the chosen tenants'; and of them, the chosen functions'. */
export const TENANTS = `${NODES}, hearth_tenant=~"$tenant"`;
export const FUNCTIONS = `${TENANTS}, faas_name=~"$function"`;

/** To the dashboard of the function that a series is of. */
export const toFunction: Link = {
  title: 'This function',
  url:
    '/d/hearth-function?${__url_time_range}&${datasource:queryparam}&${node:queryparam}' +
    '&var-tenant=${__field.labels.hearth_tenant}&var-function=${__field.labels.faas_name}',
};

/** The same from a table's row, whose labels are columns. */
export const rowToFunction: Link = {
  title: 'This function',
  url:
    '/d/hearth-function?${__url_time_range}&${datasource:queryparam}&${node:queryparam}' +
    '&var-tenant=${__data.fields.Tenant}&var-function=${__data.fields.Function}',
};

/** To the dashboard of the tenants, with the tenant that a series is of. */
export const toTenant: Link = {
  title: 'This tenant',
  url:
    '/d/hearth-tenants?${__url_time_range}&${datasource:queryparam}&${node:queryparam}' +
    '&var-tenant=${__field.labels.hearth_tenant}',
};

export const toPool: Link = {
  title: 'Pool and capacity',
  url: '/d/hearth-pool?${__url_time_range}&${datasource:queryparam}&${node:queryparam}',
};

export const toExecutions: Link = {
  title: 'Executions and database',
  url: '/d/hearth-executions?${__url_time_range}&${datasource:queryparam}&${node:queryparam}',
};

/** To Grafana's explorer with the traces that a TraceQL query finds. */
export function toTraces(query: string): Link {
  const pane = {
    datasource: '${traces}',
    queries: [{ refId: 'A', datasource: { type: 'tempo', uid: '${traces}' }, queryType: 'traceql', query }],
    range: { from: '${__from}', to: '${__to}' },
  };
  return {
    title: 'Traces',
    url: `/explore?schemaVersion=1&panes=${JSON.stringify({ traces: pane })}`,
  };
}
