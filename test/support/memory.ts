/** The resident memory of a node's processes, read from /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Bytes of resident memory of each router and Deno process below `pid`. */
export function memoryBelow(pid: number): Map<number, number> {
  const parents = new Map<number, number>();
  const pages = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const [, parent = '0'] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const command = readFileSync(`/proc/${entry}/cmdline`, 'utf8');
      parents.set(Number(entry), Number(parent));
      if (!/^[^\0]*(node|deno)\0/.test(command)) continue;
      pages.set(Number(entry), Number(readFileSync(`/proc/${entry}/statm`, 'utf8').split(' ')[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const below = (child: number): boolean => {
    for (let at = parents.get(child); at !== undefined && at > 1; at = parents.get(at))
      if (at === pid) return true;
    return false;
  };
  return new Map([...pages].filter(([child]) => below(child)).map(([child, count]) => [child, count * 4096]));
}

/** Runs `task`; the most bytes by which the resident memory of any of these processes grew meanwhile. */
export async function growthOf(pids: readonly number[], task: () => Promise<void>): Promise<number> {
  return await growth(() => new Map(pids.map((pid) => [pid, resident(pid)])), task);
}

/** Runs `task`; the most bytes by which any one of the routers and Deno processes below `pid` grew meanwhile. */
export async function growthDuring(pid: number, task: () => Promise<void>): Promise<number> {
  if (memoryBelow(pid).size === 0) throw new Error(`no process found below ${pid}`);
  return await growth(() => memoryBelow(pid), task);
}

/** `read`: bytes by process; those that come later do not count. */
async function growth(read: () => Map<number, number>, task: () => Promise<void>): Promise<number> {
  const before = read();
  let most = 0;
  let over = false;
  const watching = (async () => {
    while (!over) {
      for (const [pid, bytes] of read()) most = Math.max(most, bytes - (before.get(pid) ?? bytes));
      await sleep(25);
    }
  })();
  try {
    await task();
  } finally {
    over = true;
    await watching;
  }
  return most;
}

/** 0 once it has ended. */
function resident(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  } catch {
    return 0;
  }
}
