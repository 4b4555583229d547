/**
 * Which idle process is worth the least to keep: greedy-dual-size-frequency, as FaasCache has it (Fuerst and Sharma,
 * "FaasCache: Keeping Serverless Computing Alive with Greedy-Dual Caching", ASPLOS '21, section 4.1).
 *
 * A process has the priority `clock + uses × cost / size`, set when it is used. The clock is the priority of what was
 * evicted last: what was used since stands above what was not. Ended is the process with the lowest priority.
 */

export interface Value {
  /** Calls of the function since it has processes. */
  uses: number;
  /** ms that starting a process of it takes. */
  costMs: number;
  /** MiB that the process has. */
  memoryMib: number;
}

export function priorityOf(clock: number, { uses, costMs, memoryMib }: Value): number {
  return clock + (Math.max(1, uses) * Math.max(1, costMs)) / Math.max(1, memoryMib);
}

/** The clock after the eviction of a process. */
export function clockAfter(clock: number, evicted: { priority: number }): number {
  return Math.max(clock, evicted.priority);
}

/** Those to end, in order, so that `excess` MiB come free; all of them where they are too few. */
export function victims<P extends { priority: number; memoryMib: number }>(
  idle: Iterable<P>,
  excess: number,
): P[] {
  const chosen: P[] = [];
  if (excess <= 0) return chosen;
  let freed = 0;
  for (const process of [...idle].sort((one, other) => one.priority - other.priority)) {
    if (freed >= excess) break;
    chosen.push(process);
    freed += process.memoryMib;
  }
  return chosen;
}
