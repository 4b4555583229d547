/** The functions as this router knows them: by name, by custom route, by id. Kept current by the supervisor. */
import { URLPattern } from 'urlpattern-polyfill';
import type { FunctionMeta } from '../store/types.js';

export interface RouteMatch<T> {
  entry: T;
  /** Its pattern. */
  route: string;
  params: Record<string, string>;
}

export interface FunctionTable<T> {
  byName(tenant: string, name: string): T | undefined;
  /** `path` without `/t/<tenant>` and without a query. */
  byRoute(tenant: string, path: string): RouteMatch<T> | undefined;
  byId(id: string): T | undefined;
  set(meta: FunctionMeta): void;
  remove(id: string): void;
  keepOnly(ids: ReadonlySet<string>): void;
  readonly size: number;
}

interface Route<T> {
  pattern: URLPattern;
  literal: string;
  entry: T;
}

/** `make` gives what is kept of each function; it is made anew when the function changes. */
export function createFunctionTable<T>(make: (meta: FunctionMeta) => T): FunctionTable<T> {
  const metas = new Map<string, FunctionMeta>();
  const entries = new Map<string, T>();
  const names = new Map<string, Map<string, T>>();
  const routes = new Map<string, Route<T>[]>();

  function remove(id: string) {
    const meta = metas.get(id);
    const entry = entries.get(id);
    if (meta === undefined || entry === undefined) return;
    metas.delete(id);
    entries.delete(id);
    const tenant = names.get(meta.tenant);
    if (tenant?.get(meta.name) === entry) tenant.delete(meta.name);
    if (tenant?.size === 0) names.delete(meta.tenant);
    const kept = (routes.get(meta.tenant) ?? []).filter((route) => route.entry !== entry);
    if (kept.length > 0) routes.set(meta.tenant, kept);
    else routes.delete(meta.tenant);
  }

  return {
    get size() {
      return metas.size;
    },
    byName: (tenant, name) => names.get(tenant)?.get(name),
    byRoute(tenant, path) {
      for (const route of routes.get(tenant) ?? []) {
        if (!path.startsWith(route.literal)) continue;
        const match = route.pattern.exec({ pathname: path });
        if (match === null) continue;
        const params: Record<string, string> = {};
        for (const [name, value] of Object.entries(match.pathname.groups))
          if (value !== undefined) params[name] = value;
        return { entry: route.entry, route: route.pattern.pathname, params };
      }
      return undefined;
    },
    byId: (id) => entries.get(id),
    set(meta) {
      remove(meta.id);
      const entry = make(meta);
      metas.set(meta.id, meta);
      entries.set(meta.id, entry);
      let tenant = names.get(meta.tenant);
      if (tenant === undefined) {
        tenant = new Map();
        names.set(meta.tenant, tenant);
      }
      tenant.set(meta.name, entry);
      if (meta.routes.length === 0) return;
      const added = meta.routes.map((path) => ({
        pattern: new URLPattern({ pathname: path }),
        literal: literalPrefix(path),
        entry,
      }));
      // The longest literal prefix wins; sorted once here, so that the first match is the right one.
      const all = [...(routes.get(meta.tenant) ?? []), ...added];
      all.sort((a, b) => b.literal.length - a.literal.length);
      routes.set(meta.tenant, all);
    },
    remove,
    keepOnly(ids) {
      for (const id of [...metas.keys()]) if (!ids.has(id)) remove(id);
    },
  };
}

/** What stands before the first part of a pattern that can match more than one text. */
export function literalPrefix(pattern: string): string {
  const special = /[:*({[\\]|.[?+]/.exec(pattern);
  return special === null ? pattern : pattern.slice(0, special.index);
}
