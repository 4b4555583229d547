/** The node's private folder for sockets and processes: short enough for a socket's path, gone when the node is. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endLeftovers, RUN_DIR_PREFIX } from '../leftovers.js';

/** Makes `<tmp>/hearth-run-<pid>-<random>` (mode 0700) and removes what dead nodes of this user left. */
export async function makeRunDir(): Promise<{ path: string; remove(): Promise<void> }> {
  const base = tmpdir();
  for (const name of await readdir(base)) {
    const owner = new RegExp(`^${RUN_DIR_PREFIX}(\\d+)-`).exec(name)?.[1];
    // Another user's folder cannot be removed, and is not ours to judge.
    if (owner === undefined || isAlive(Number(owner))) continue;
    endLeftovers(Number(owner));
    await rm(join(base, name), { recursive: true, force: true }).catch(() => {});
  }
  const path = await mkdtemp(join(base, `${RUN_DIR_PREFIX}${process.pid}-`));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
