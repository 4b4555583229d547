/** Why a process ended, read from how it exited and what it last wrote to standard error. */

/** `killed`: by us, for the reason that was given with the kill. */
export type EndReason = 'exit' | 'crash' | 'memory' | 'forbidden' | KillReason;
export type KillReason =
  | 'timeout'
  | 'memory'
  | 'cpu'
  | 'background'
  | 'idle'
  | 'superseded'
  | 'unreachable'
  | 'failed'
  | 'shutdown'
  | 'evicted';

export interface Ending {
  reason: EndReason;
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The end of standard error, at most 4 KiB. */
  stderr: string;
}

/** V8 and the Rust allocator say so when they cannot go on; RLIMIT_DATA shows as the latter. */
const OUT_OF_MEMORY =
  /out of memory|Reached heap limit|Allocation failed|memory allocation of \d+ bytes failed|Cannot allocate memory/i;

export function explainEnding(
  code: number | null,
  signal: NodeJS.Signals | null,
  stderr: string,
  killedFor: KillReason | null,
): Ending {
  return { reason: killedFor ?? reasonOf(code, signal, stderr), code, signal, stderr };
}

/** How bubblewrap tells that SIGSYS ended its process: a system call that its filter does not let through. */
const SIGSYS_CODE = 128 + 31;

function reasonOf(code: number | null, signal: NodeJS.Signals | null, stderr: string): EndReason {
  if (code === SIGSYS_CODE || signal === 'SIGSYS') return 'forbidden';
  if (OUT_OF_MEMORY.test(stderr)) return 'memory';
  return code !== null && code < 128 ? 'exit' : 'crash';
}
