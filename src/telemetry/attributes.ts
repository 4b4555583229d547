/** Attribute sets: what tells one series of an instrument from another, and the set that stands for all the rest. */

/** Names by the OpenTelemetry conventions, such as `faas.name`, and their values. */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

/**
 * The attribute set of an instrument's overflow series, which takes every set beyond the cap.
 * Source: OpenTelemetry Metrics SDK, "Cardinality limits", overflow attribute.
 */
export const OVERFLOW: Attributes = Object.freeze({ 'otel.metric.overflow': true });

/** Series per instrument, the overflow series among them, unless told otherwise (OpenTelemetry's default). */
export const DEFAULT_MAX_SERIES = 2000;

/** One string per attribute set, whatever the order in which its names were written. */
export function attributesKey(attributes: Attributes): string {
  const entries = Object.entries(attributes);
  if (entries.length > 1) entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(entries);
}

/** Some of all attribute sets: those that have these attributes, or those that pass a test. */
export type Part = Attributes | ((attributes: Attributes) => boolean);

/** Whether `attributes` has every name of `part` with the same value (the empty part is in every set), or passes its test. */
export function includesAttributes(attributes: Attributes, part: Part): boolean {
  if (typeof part === 'function') return part(attributes);
  return Object.entries(part).every(([name, value]) => attributes[name] === value);
}
