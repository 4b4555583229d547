/** Gives memory back before a long idle time. */

/**
 * On Linux, Deno answers SIGUSR2 with a full collection of garbage and `malloc_trim`, where `DENO_USR2_MEMORY_TRIM` was
 * set at its start; elsewhere the signal would end the process. No permission is needed for a signal to oneself, and a
 * function that sends it gets the same.
 */
export function createTrim(): () => void {
  const { kill, pid } = Deno;
  return Deno.build.os === 'linux' ? () => kill(pid, 'SIGUSR2') : () => {};
}
