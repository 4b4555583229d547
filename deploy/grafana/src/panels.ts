/** The panels of Hearth's dashboards: every one has a title, a description, a unit and a place on the grid. */
import * as bargauge from '@grafana/grafana-foundation-sdk/bargauge';
import type * as cog from '@grafana/grafana-foundation-sdk/cog';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import * as heatmap from '@grafana/grafana-foundation-sdk/heatmap';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as table from '@grafana/grafana-foundation-sdk/table';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

/** The Prometheus that the dashboard's variable names. */
export const PROMETHEUS: common.DataSourceRef = { type: 'prometheus', uid: '$datasource' };

export interface Query {
  expr: string;
  /** The series' name, with labels as `{{label}}`. */
  legend: string;
  /** Shows the traces that calls of this latency had, where Prometheus has them. */
  exemplar?: boolean;
}

/** From `at` on, in the panel's unit, a value is worth a look (yellow) or an alert (red). */
export interface Limits {
  yellow?: number;
  red?: number;
  /** Low values are the bad ones: below `yellow`, below `red`. */
  low?: boolean;
}

/** Where a click on a series leads: its labels become the variables of that dashboard. */
export interface Link {
  title: string;
  url: string;
}

export interface PanelSpec {
  title: string;
  description: string;
  /** Grafana's name of it: `reqps`, `s`, `percentunit`, `bytes`, `short`, … */
  unit: string;
  queries: Query[];
  /** Columns of 24, and rows. */
  width: number;
  height?: number;
  limits?: Limits;
  links?: Link[];
  max?: number;
  /** Of time series: areas that add up. */
  stacked?: boolean;
  /** Of time series: series that have a colour of their own, by name. */
  colours?: Readonly<Record<string, string>>;
}

/** How calls end, in the colours that one expects. */
export const OUTCOMES = { success: 'green', error: 'red', timeout: 'orange', cancelled: 'blue' } as const;

/** A panel without its place. */
export type Panel = (place: dashboard.GridPos, id: number) => cog.Builder<dashboard.Panel>;

export interface Placed {
  width: number;
  height: number;
  panel: Panel;
}

/** What every kind of panel offers. */
interface PanelBuilder extends cog.Builder<dashboard.Panel> {
  id(id: number): this;
  title(title: string): this;
  description(description: string): this;
  unit(unit: string): this;
  datasource(datasource: common.DataSourceRef): this;
  gridPos(gridPos: dashboard.GridPos): this;
  thresholds(thresholds: cog.Builder<dashboard.ThresholdsConfig>): this;
  colorScheme(color: cog.Builder<dashboard.FieldColor>): this;
  dataLinks(links: cog.Builder<dashboard.DashboardLink>[]): this;
  min(min: number): this;
  max(max: number): this;
  targets(targets: cog.Builder<cog.Dataquery>[]): this;
}

/** Lines over time. */
export function lines(spec: PanelSpec): Placed {
  return placed(spec, 8, () => {
    const panel = new timeseries.PanelBuilder()
      .lineWidth(1)
      .fillOpacity(spec.stacked === true ? 40 : 8)
      .showPoints(common.VisibilityMode.Never)
      .spanNulls(false)
      .legend(
        new common.VizLegendOptionsBuilder()
          .displayMode(common.LegendDisplayMode.List)
          .placement(common.LegendPlacement.Bottom)
          .showLegend(true)
          .calcs([]),
      )
      .tooltip(
        new common.VizTooltipOptionsBuilder()
          .mode(common.TooltipDisplayMode.Multi)
          .sort(common.SortOrder.Descending),
      )
      .min(0)
      .targets(targets(spec.queries));
    for (const [name, fixedColor] of Object.entries(spec.colours ?? {}))
      panel.overrideByName(name, [{ id: 'color', value: { mode: 'fixed', fixedColor } }]);
    if (spec.stacked === true)
      panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal).group('A'));
    if (spec.limits !== undefined)
      panel.thresholdsStyle(
        new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed),
      );
    return panel.colorScheme(color(dashboard.FieldColorModeId.PaletteClassic));
  });
}

/** One number, as it was last, and its way there. */
export function number(spec: PanelSpec): Placed {
  return placed(spec, 4, () =>
    new stat.PanelBuilder()
      .graphMode(common.BigValueGraphMode.Area)
      .colorMode(common.BigValueColorMode.Value)
      .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
      .noValue('–')
      .colorScheme(color(dashboard.FieldColorModeId.Thresholds))
      .targets(targets(spec.queries)),
  );
}

/** How many took how long: the queries are of histograms' buckets, by `le`. */
export function heat(spec: PanelSpec): Placed {
  return placed(spec, 8, () =>
    new heatmap.PanelBuilder()
      .calculate(false)
      .cellGap(1)
      .yAxis(new heatmap.YAxisConfigBuilder().unit(spec.unit))
      .color(
        new heatmap.HeatmapColorOptionsBuilder()
          .mode(heatmap.HeatmapColorMode.Scheme)
          .scheme('Oranges')
          .steps(64)
          .exponent(0.5),
      )
      .targets(targets(spec.queries, prometheus.PromQueryFormat.Heatmap)),
  );
}

/** A bar for each series, as it is now. */
export function bars(spec: PanelSpec): Placed {
  return placed(spec, 8, () =>
    new bargauge.PanelBuilder()
      .displayMode(common.BarGaugeDisplayMode.Lcd)
      .orientation(common.VizOrientation.Horizontal)
      .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
      .min(0)
      .colorScheme(color(dashboard.FieldColorModeId.Thresholds))
      .targets(targets(spec.queries, undefined, true)),
  );
}

/** A row for each combination of labels, a column for each query: `columns` are their names and units, in that order. */
export function rows(spec: PanelSpec, columns: { name: string; unit: string }[]): Placed {
  return placed(spec, 9, () => {
    const panel = new table.PanelBuilder()
      .targets(targets(spec.queries, prometheus.PromQueryFormat.Table, true))
      .withTransformation({ id: 'merge', options: {} })
      .withTransformation({
        id: 'organize',
        options: {
          excludeByName: { Time: true },
          renameByName: { hearth_tenant: 'Tenant', faas_name: 'Function', hearth_quota: 'Quota' },
        },
      })
      .sortBy([new common.TableSortByFieldStateBuilder().displayName(columns[0]?.name ?? '').desc(true)]);
    columns.forEach(({ name, unit }, index) => {
      panel.overrideByName(valueColumn(index, columns.length), [
        { id: 'displayName', value: name },
        { id: 'unit', value: unit },
      ]);
    });
    return panel;
  });
}

/** What Grafana calls a table query's values. */
function valueColumn(index: number, count: number): string {
  return count === 1 ? 'Value' : `Value #${refId(index)}`;
}

function placed(spec: PanelSpec, height: number, make: () => PanelBuilder): Placed {
  return {
    width: spec.width,
    height: spec.height ?? height,
    panel(place, id) {
      const panel = make()
        .id(id)
        .title(spec.title)
        .description(spec.description)
        .unit(spec.unit)
        .datasource(PROMETHEUS)
        .gridPos(place)
        .thresholds(thresholds(spec.limits));
      if (spec.max !== undefined) panel.max(spec.max);
      if (spec.links !== undefined)
        panel.dataLinks(
          spec.links.map(({ title, url }) =>
            new dashboard.DashboardLinkBuilder(title)
              .type(dashboard.DashboardLinkType.Link)
              .url(url)
              .targetBlank(false),
          ),
        );
      return panel;
    },
  };
}

function targets(
  queries: Query[],
  format: prometheus.PromQueryFormat = prometheus.PromQueryFormat.TimeSeries,
  instant = false,
): prometheus.DataqueryBuilder[] {
  return queries.map(({ expr, legend, exemplar }, index) => {
    const query = new prometheus.DataqueryBuilder()
      .refId(refId(index))
      .datasource(PROMETHEUS)
      .expr(expr)
      .legendFormat(legend)
      .format(format);
    if (exemplar === true) query.exemplar(true);
    return instant ? query.instant() : query.range();
  });
}

function refId(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}

function color(mode: dashboard.FieldColorModeId): dashboard.FieldColorBuilder {
  return new dashboard.FieldColorBuilder().mode(mode);
}

function thresholds({ yellow, red, low = false }: Limits = {}): dashboard.ThresholdsConfigBuilder {
  const worst =
    (low ? red : undefined) !== undefined ? 'red' : low && yellow !== undefined ? 'yellow' : 'green';
  const steps: dashboard.Threshold[] = [{ value: null, color: worst }];
  if (low) {
    if (red !== undefined) steps.push({ value: red, color: yellow === undefined ? 'green' : 'yellow' });
    if (yellow !== undefined) steps.push({ value: yellow, color: 'green' });
  } else {
    if (yellow !== undefined) steps.push({ value: yellow, color: 'yellow' });
    if (red !== undefined) steps.push({ value: red, color: 'red' });
  }
  return new dashboard.ThresholdsConfigBuilder().mode(dashboard.ThresholdsMode.Absolute).steps(steps);
}
