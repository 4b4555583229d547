/** Queries that more than one dashboard asks. */

/** Requests: the count of their histogram. */
export const REQUESTS = 'http_server_request_duration_seconds_count';

/** The histogram of calls of functions. */
export const CALLS = 'faas_invoke_duration_seconds';

/** Requests that the platform itself failed: what the availability alerts count (deploy/prometheus/rules). */
export const OWN_FAILURES = 'error_type=~"INTERNAL|OVERLOADED|UNAVAILABLE"';

export function rate(metric: string, selector: string, by = ''): string {
  return `sum${by === '' ? '' : ` by (${by})`} (rate(${metric}{${selector}}[$__rate_interval]))`;
}

/** @param of 0 to 1. @param by labels besides `le`. */
export function quantile(of: number, metric: string, selector: string, by = ''): string {
  const labels = by === '' ? 'le' : `le, ${by}`;
  return `histogram_quantile(${of}, sum by (${labels}) (rate(${metric}_bucket{${selector}}[$__rate_interval])))`;
}

/** Three percentiles of a histogram. */
export function percentiles(metric: string, selector: string, exemplar = false) {
  return [0.5, 0.95, 0.99].map((of) => ({
    expr: quantile(of, metric, selector),
    legend: `p${of * 100}`,
    // The traces are the same for all three: one is enough.
    ...(exemplar && of === 0.99 ? { exemplar: true } : {}),
  }));
}

/** A share that is 0, rather than nothing, where nothing was counted. */
export function share(part: string, whole: string): string {
  return `(${part} or vector(0)) / (${whole} > 0)`;
}

/** A count that is 0, rather than nothing, as long as there is none. */
export function orZero(expr: string): string {
  return `${expr} or vector(0)`;
}
