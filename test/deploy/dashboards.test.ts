/** The dashboards that are committed are those of their source, and hold together. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { describe, expect, it } from 'vitest';
import { dashboardFiles, dashboards } from '../../deploy/grafana/src/dashboards.js';
import { isRow, panelQueries, panelsOf } from '../support/dashboards.js';
import { root } from '../support/node.js';

const folder = join(root, 'deploy/grafana/dashboards');
const committed = readdirSync(folder).sort();
/** Variables that Grafana itself has. */
const GRAFANAS = /^__(?:rate_interval|range|url_time_range|from|to|all|field|data)$/;

function read(name: string): Dashboard {
  return JSON.parse(readFileSync(join(folder, name), 'utf8')) as Dashboard;
}

function variablesOf(dashboard: Dashboard): string[] {
  return (dashboard.templating?.list ?? []).map(({ name }) => name);
}

/** The variables that a text uses: `$name`, `${name}`, `${name:format}`, `${__field.labels.name}`. */
function used(text: string): string[] {
  return [...text.matchAll(/\$\{?(\w+)/g)].map(([, name]) => name ?? '');
}

describe('the committed dashboards', () => {
  it('are what `npm run dashboards` writes', () => {
    const files = dashboardFiles();
    expect(committed).toEqual([...files.keys()].sort());
    for (const [name, text] of files) expect(readFileSync(join(folder, name), 'utf8'), name).toBe(text);
  });
});

describe.each(committed)('%s', (file) => {
  const dashboard = read(file);
  const panels = dashboard.panels ?? [];

  it('is found by its name, and says what it is for', () => {
    expect(file).toBe(`${dashboard.uid}.json`);
    expect(dashboard.title).toMatch(/^Hearth \/ /);
    expect(dashboard.description).toMatch(/\.$/);
    expect(dashboard.tags).toEqual(['hearth']);
  });

  it('has panels with a title, a description, a unit, queries and a number of their own', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(panelsOf(dashboard).length).toBeGreaterThan(5);
    for (const panel of panelsOf(dashboard)) {
      expect(panel.title, JSON.stringify(panel.id)).toMatch(/\w/);
      expect(panel.description, panel.title).toMatch(/\.$/);
      expect(panel.fieldConfig?.defaults.unit, panel.title).toMatch(/\w/);
      expect(panel.fieldConfig?.defaults.thresholds?.steps.length, panel.title).toBeGreaterThan(0);
      expect(panel.targets?.length, panel.title).toBeGreaterThan(0);
      expect(panel.datasource, panel.title).toEqual({ type: 'prometheus', uid: '$datasource' });
    }
    for (const { where, expr } of panelQueries(dashboard)) expect(expr, where).toMatch(/\w/);
  });

  it('has panels that lie beside each other in 24 columns', () => {
    const taken = new Map<string, string | undefined>();
    for (const { gridPos, title } of panels) {
      const { x, y, w, h } = gridPos ?? { x: -1, y: 0, w: 0, h: 0 };
      expect(Math.min(x, y, w - 1, h - 1), title).toBeGreaterThanOrEqual(0);
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++)
        for (let line = y; line < y + h; line++) {
          const cell = `${column} ${line}`;
          expect(taken.get(cell), `${title} lies on another`).toBeUndefined();
          taken.set(cell, title);
        }
    }
  });

  it('uses the variables that it has, and has those that it uses', () => {
    const names = variablesOf(dashboard);
    expect(new Set(names).size).toBe(names.length);
    const { templating, ...rest } = dashboard;
    const inUse = new Set(used(JSON.stringify([rest, templating?.list])));
    for (const name of inUse)
      if (!GRAFANAS.test(name)) expect(names, `$${name} is no variable`).toContain(name);
    for (const name of names) expect([...inUse], `$${name} is not used`).toContain(name);
    for (const row of panels.filter(isRow)) expect(row.panels).toEqual([]);
  });

  it('links to dashboards that there are, with variables that they have', () => {
    const links = panelsOf(dashboard).flatMap((panel) => panel.fieldConfig?.defaults.links ?? []);
    for (const { url } of links as { url: string }[]) {
      const [, uid, query = ''] = /^\/d\/([\w-]+)\?(.*)$/.exec(url) ?? [];
      expect(committed, url).toContain(`${uid}.json`);
      const given = [
        ...[...query.matchAll(/var-(\w+)=/g)].map(([, name]) => name),
        ...[...query.matchAll(/\$\{(\w+):queryparam\}/g)].map(([, name]) => name),
      ];
      const known = variablesOf(read(`${uid}.json`));
      for (const name of given) expect(known, url).toContain(name);
    }
    if (file === 'hearth-overview.json') expect(links.length).toBeGreaterThan(5);
  });

  it('shows exemplars where it shows how long calls take', () => {
    const latencies = panelsOf(dashboard).filter(({ title }) => title === 'Duration of calls, percentiles');
    for (const { targets, title } of latencies)
      expect(
        targets?.some((target) => 'exemplar' in target && target.exemplar === true),
        title,
      ).toBe(true);
    if (/overview|function/.test(file)) expect(latencies).toHaveLength(1);
  });
});

it('there are no two dashboards of one name', () => {
  expect(new Set(dashboards().map(({ title }) => title)).size).toBe(committed.length);
});
