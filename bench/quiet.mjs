// Waits until what a peer left unfinished is done, so that the next one has the machine to itself.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const WINDOW_MS = 200;
const LIMIT_MS = 5_000;
/** Share of all cores' time that may be in use. */
const BUSY = 0.15;

/** At most 5 s; without /proc/stat a fixed pause of half a second. */
export async function untilQuiet() {
  const end = Date.now() + LIMIT_MS;
  let before = await times();
  if (before === null) return sleep(500);
  while (Date.now() < end) {
    await sleep(WINDOW_MS);
    const now = await times();
    if (now.busy - before.busy < (now.all - before.all) * BUSY) return;
    before = now;
  }
}

async function times() {
  try {
    const [user, nice, system, idle, wait, ...rest] = /^cpu +(.*)$/m
      .exec(await readFile('/proc/stat', 'utf8'))[1]
      .split(' ')
      .map(Number);
    const busy = user + nice + system + rest.slice(0, 2).reduce((sum, part) => sum + part, 0);
    return { busy, all: busy + idle + wait };
  } catch {
    return null; // no Linux
  }
}
