/** Functions and tenants that are no more: their series are dropped together, in one pass, when the points are gathered next. */
import type { Attributes } from './attributes.js';
import type { FunctionAttributes, TenantAttributes } from './instruments.js';

export interface GoneSeries {
  /** Without `faas.name`: all that is the tenant's. */
  add(gone: FunctionAttributes | TenantAttributes): void;
  /** It is there again, before its series were dropped: they go on. */
  keep(back: FunctionAttributes | TenantAttributes): void;
  /** Whether a series with these attributes is one of them. */
  includes(attributes: Attributes): boolean;
  isEmpty(): boolean;
  clear(): void;
}

/** Remembered at most; nobody may ever gather the points. What is beyond keeps its series. */
const MAX_GONE = 10_000;

export function createGoneSeries(): GoneSeries {
  const names = new Set<string>();
  return {
    add(gone) {
      if (names.size < MAX_GONE) names.add(nameOf(gone));
    },
    keep: (back) => void names.delete(nameOf(back)),
    includes: (attributes) =>
      names.has(nameOf(attributes)) || names.has(nameOf({ 'hearth.tenant': attributes['hearth.tenant'] })),
    isEmpty: () => names.size === 0,
    clear: () => names.clear(),
  };
}

/** A tenant's slug has no `/`. */
function nameOf(attributes: { 'hearth.tenant'?: unknown; 'faas.name'?: unknown }): string {
  return `${attributes['hearth.tenant'] ?? ''}/${attributes['faas.name'] ?? ''}`;
}
