/** No core dumps: what a process has in its memory, secrets among it, is nothing for a disk. */
import { spawnSync } from 'node:child_process';

/**
 * Sets RLIMIT_CORE of this process to 0 (getrlimit(2)), which every process that it starts inherits. Nothing happens where
 * there is no prlimit, as on macOS: the system's own limit then counts.
 */
export function dumpNoCore(prlimit: string | null): void {
  if (prlimit === null) return;
  spawnSync(prlimit, ['--pid', String(process.pid), '--core=0'], { stdio: 'ignore', env: {} });
}
