/**
 * The priority of functions' processes: the node itself comes first. A function that computes for seconds takes what is
 * left of the cores, and others' calls still get to their processes and back.
 */
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { getPriority, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** As nice(1) counts: a tenth of the weight of a process of the node. */
export const NICE = 10;
/** Whoever is not root may set a group's priority ten times a second, all groups together. */
const TRIES = 50;
const RETRY_MS = 110;

/** @param pid of a process that has one thread yet, so that all others come after it. */
export function startNice(pid: number): void {
  attempt(() => setPriority(pid, NICE));
}

/**
 * On Linux a session is a group of its own to the scheduler (autogroup, see sched(7)), for which its members' priorities
 * count nothing; and the sandbox may have been quicker than `startNice`. Never throws: at worst it is as others are.
 *
 * @param pid of a process that is in its sandbox and its session.
 */
export async function stayNice(pid: number): Promise<void> {
  if (process.platform !== 'linux') return;
  attempt(() => {
    if (getPriority(pid) === NICE) return;
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), NICE);
  });
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      return await writeFile(`/proc/${pid}/autogroup`, `${NICE}`);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return;
    }
    await sleep(RETRY_MS, undefined, { ref: false });
  }
}

function attempt(set: () => void) {
  try {
    set();
  } catch {
    // It has ended, or the system does not allow it.
  }
}
