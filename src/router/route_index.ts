/**
 * Custom routes of one tenant, found by the literal text that their patterns begin with: a look-up for each length that
 * such texts have, however many routes there are.
 */
import { URLPattern } from 'urlpattern-polyfill';

export interface RouteMatch<T> {
  entry: T;
  /** Its pattern. */
  route: string;
  params: Record<string, string>;
}

export interface RouteIndex<T> {
  /** `path`: a `URLPattern` pathname that is known to be good. */
  add(path: string, entry: T): void;
  remove(path: string, entry: T): void;
  /** The route with the longest literal prefix that matches; of equal ones, the one that was added first. */
  match(path: string): RouteMatch<T> | undefined;
  readonly size: number;
}

interface Route<T> {
  path: string;
  /** Made when a path first comes near it. */
  pattern: URLPattern | null;
  entry: T;
}

export function createRouteIndex<T>(): RouteIndex<T> {
  const byLiteral = new Map<string, Route<T>[]>();
  /** How many literals have each length. */
  const counts = new Map<number, number>();
  /** The lengths that there are, longest first. */
  let lengths: number[] = [];
  let size = 0;

  function count(length: number, change: 1 | -1) {
    const now = (counts.get(length) ?? 0) + change;
    if (now > 0) counts.set(length, now);
    else counts.delete(length);
    if (now === 0 || (now === 1 && change === 1)) lengths = [...counts.keys()].sort((a, b) => b - a);
  }

  return {
    get size() {
      return size;
    },
    add(path, entry) {
      const literal = literalPrefix(path);
      const routes = byLiteral.get(literal);
      if (routes !== undefined) routes.push({ path, pattern: null, entry });
      else {
        byLiteral.set(literal, [{ path, pattern: null, entry }]);
        count(literal.length, 1);
      }
      size++;
    },
    remove(path, entry) {
      const literal = literalPrefix(path);
      const routes = byLiteral.get(literal);
      const index = routes?.findIndex((route) => route.path === path && route.entry === entry) ?? -1;
      if (routes === undefined || index < 0) return;
      routes.splice(index, 1);
      size--;
      if (routes.length > 0) return;
      byLiteral.delete(literal);
      count(literal.length, -1);
    },
    match(path) {
      for (const length of lengths) {
        if (length > path.length) continue;
        for (const route of byLiteral.get(path.slice(0, length)) ?? []) {
          route.pattern ??= new URLPattern({ pathname: route.path });
          const found = route.pattern.exec({ pathname: path });
          if (found === null) continue;
          const params: Record<string, string> = {};
          for (const [name, value] of Object.entries(found.pathname.groups))
            if (value !== undefined) params[name] = value;
          return { entry: route.entry, route: route.pattern.pathname, params };
        }
      }
      return undefined;
    },
  };
}

/** What stands before the first part of a pattern that can match more than one text. */
export function literalPrefix(pattern: string): string {
  const special = /[:*({[\\]|.[?+]/.exec(pattern);
  return special === null ? pattern : pattern.slice(0, special.index);
}
