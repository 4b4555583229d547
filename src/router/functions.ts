/** The functions as this router knows them: by name, by custom route, by id. Kept current by the supervisor. */
import type { FunctionMeta } from '../store/types.js';
import { createRouteIndex, type RouteIndex, type RouteMatch } from './route_index.js';

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

/** `make` gives what is kept of each function; it is made anew when the function changes. */
export function createFunctionTable<T>(make: (meta: FunctionMeta) => T): FunctionTable<T> {
  const metas = new Map<string, FunctionMeta>();
  const entries = new Map<string, T>();
  const names = new Map<string, Map<string, T>>();
  const routes = new Map<string, RouteIndex<T>>();

  function remove(id: string) {
    const meta = metas.get(id);
    const entry = entries.get(id);
    if (meta === undefined || entry === undefined) return;
    metas.delete(id);
    entries.delete(id);
    const tenant = names.get(meta.tenant);
    if (tenant?.get(meta.name) === entry) tenant.delete(meta.name);
    if (tenant?.size === 0) names.delete(meta.tenant);
    const index = routes.get(meta.tenant);
    for (const path of meta.routes) index?.remove(path, entry);
    if (index?.size === 0) routes.delete(meta.tenant);
  }

  return {
    get size() {
      return metas.size;
    },
    byName: (tenant, name) => names.get(tenant)?.get(name),
    byRoute: (tenant, path) => routes.get(tenant)?.match(path),
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
      let index = routes.get(meta.tenant);
      if (index === undefined) {
        index = createRouteIndex();
        routes.set(meta.tenant, index);
      }
      for (const path of meta.routes) index.add(path, entry);
    },
    remove,
    keepOnly(ids) {
      for (const id of [...metas.keys()]) if (!ids.has(id)) remove(id);
    },
  };
}
