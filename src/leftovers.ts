/** Ends what a supervisor that was killed could not: sandboxes that were half built at that moment wait for it for ever. */
import { readdirSync, readFileSync } from 'node:fs';

/** How the folder of a supervisor's processes begins, in the system's temporary folder. */
export const RUN_DIR_PREFIX = 'hearth-run-';

/** @param supervisor the pid of one that is dead: its number may only be another's after this. */
export function endLeftovers(supervisor: number): void {
  const mark = `/${RUN_DIR_PREFIX}${supervisor}-`;
  for (const name of processes()) {
    try {
      if (readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(mark)) process.kill(Number(name), 'SIGKILL');
    } catch {
      // It ended meanwhile, or is another user's.
    }
  }
}

/** None where there is no proc(5), nor bubblewrap then. */
function processes(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  } catch {
    return [];
  }
}
