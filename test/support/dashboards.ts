/** A dashboard's parts, as the tests look at them. */
import type { Dashboard, Panel, RowPanel } from '@grafana/grafana-foundation-sdk/dashboard';

/** Panels other than rows. */
export function panelsOf(dashboard: Dashboard): Panel[] {
  return (dashboard.panels ?? []).filter((panel): panel is Panel => !isRow(panel));
}

export function isRow(panel: Panel | RowPanel): panel is RowPanel {
  return panel.type === 'row';
}

export interface PanelQuery {
  /** `<dashboard's uid> / <panel's title> / <refId>` */
  where: string;
  expr: string;
}

export function panelQueries(dashboard: Dashboard): PanelQuery[] {
  return panelsOf(dashboard).flatMap((panel) =>
    (panel.targets ?? []).map((target) => {
      const { expr, refId } = target as { expr?: string; refId?: string };
      return { where: `${dashboard.uid} / ${panel.title} / ${refId}`, expr: expr ?? '' };
    }),
  );
}
