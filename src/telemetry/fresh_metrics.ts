/** Lets whoever collects the metrics see the newest points of every process. */
import type * as sdk from '@opentelemetry/sdk-metrics';

/** How long a collection waits for the processes, in ms; then it takes what is there. */
const REFRESH_MS = 1000;

/**
 * A producer that calls `refresh` before each collection, never twice at the same time, and waits for it for at most 1 s.
 * A refresh that fails is reported to `onError`, and the points that are known already are collected.
 */
export function freshMetrics(
  metrics: sdk.MetricProducer,
  refresh: () => Promise<void>,
  onError: (error: unknown) => void,
): sdk.MetricProducer {
  let pending: Promise<void> | undefined;

  async function refreshOnce(): Promise<void> {
    try {
      await refresh();
    } catch (error) {
      // Whatever refresh throws: a page without the newest points is better than none.
      onError(error);
    } finally {
      pending = undefined;
    }
  }

  return {
    async collect(options) {
      pending ??= refreshOnce();
      await withinMs(pending, REFRESH_MS);
      return metrics.collect(options);
    },
  };
}

/** Resolves when the promise does, or after `ms`, whichever is first; true when the promise was. */
export async function withinMs(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
