/** The node's private folders for sockets and processes: short enough for a socket's path, gone when the node is. */
import { readlinkSync, statfsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endLeftovers, RUN_DIR_PREFIX } from '../leftovers.js';

export interface RunDir {
  path: string;
  /** One in memory, for the folders of processes: a start makes and removes ten files. Null where there is none. */
  memory: string | null;
  remove(): Promise<void>;
}

/** Where Linux has a file system in memory for everyone (shm_overview(7)). */
const SHARED_MEMORY = '/dev/shm';
/** statfs(2) */
const TMPFS = 0x01021994;
/** Bytes that have to be free, and which share of all. The code of a process with its source map is there too. */
const ROOM = 256 * 1024 * 1024;
const ROOM_SHARE = 0.5;
/** A user from here on is a person's, whose files in memory systemd removes at the end of a session (logind.conf(5), RemoveIPC). */
const FIRST_PERSON = 1000;

/**
 * Makes `<tmp>/hearth-run-<pid>-<random>` (mode 0700), and one like it in memory, and removes what dead nodes of this user
 * left in both places.
 */
export async function makeRunDir(shared = SHARED_MEMORY): Promise<RunDir> {
  const base = tmpdir();
  await removeLeftovers(base, '');
  const path = await mkdtemp(join(base, nameOf('')));
  const memory =
    (process.getuid?.() ?? FIRST_PERSON) < FIRST_PERSON ? await makeInMemory(base, shared) : null;
  return {
    path,
    memory,
    async remove() {
      for (const dir of memory === null ? [path] : [path, memory])
        await rm(dir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

async function makeInMemory(base: string, shared: string): Promise<string | null> {
  const space = pidNamespace();
  if (space === null) return null;
  await removeLeftovers(shared, space);
  if (isMemory(base) || !hasRoom(shared)) return null;
  const path = await mkdtemp(join(shared, nameOf(space)));
  // The processes may have users of their own: to be entered, not listed.
  if (process.getuid?.() === 0) await chmod(path, 0o711);
  return path;
}

/** Containers may share their memory and not their process ids: in which space one counts is in the name (namespaces(7)). */
function pidNamespace(): string | null {
  try {
    return `${/\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0]}-`;
  } catch {
    return null;
  }
}

function nameOf(space: string): string {
  return `${RUN_DIR_PREFIX}${process.pid}-${space}`;
}

/** Whether it is in memory, and has as much room as the processes to come may need. */
export function hasRoom(dir: string): boolean {
  try {
    const { type, bsize, blocks, bavail } = statfsSync(dir);
    return type === TMPFS && bavail * bsize >= ROOM && bavail >= blocks * ROOM_SHARE;
  } catch {
    return false; // it is not there, or not any more
  }
}

function isMemory(dir: string): boolean {
  return statfsSync(dir).type === TMPFS;
}

async function removeLeftovers(base: string, space: string): Promise<void> {
  const names = await readdir(base).catch(() => []); // there may be none in memory
  for (const name of names) {
    const owner = new RegExp(`^${RUN_DIR_PREFIX}(\\d+)-${space}`).exec(name)?.[1];
    // Another user's folder cannot be removed, and is not ours to judge.
    if (owner === undefined || isAlive(Number(owner))) continue;
    endLeftovers(Number(owner));
    await rm(join(base, name), { recursive: true, force: true }).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
