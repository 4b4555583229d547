/** The private folder of the embedded server's Unix socket: short of path, named after the process that owns it. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rmdir, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StartError } from '../errors.js';

/** No TCP port is taken: PostgreSQL only puts the number into the socket's file name. */
export const SOCKET_PORT = 5432;

const SOCKET_FILE = `.s.PGSQL.${SOCKET_PORT}`;

/** Hands the password to initdb; lies there for a moment only. */
export const PASSWORD_FILE = '.hearth-password';

const NAME = /^hearth-pg-(\d+)-\w+$/;

/** The shortest limit on a socket's path, macOS's `sun_path`, less its final NUL (Linux allows 107). */
const MAX_SOCKET_PATH = 103;

/** Makes a folder of mode 0700 and removes those whose owner is dead. @throws StartError when none can be made. */
export async function makeSocketFolder(): Promise<string> {
  const parent = socketFolderParent();
  await removeDeadFolders(parent);
  try {
    return await mkdtemp(join(parent, `hearth-pg-${process.pid}-`));
  } catch (cause) {
    throw new StartError(`a folder for PostgreSQL's socket cannot be made in ${parent}: ${String(cause)}`, {
      cause,
    });
  }
}

/** The process that a socket folder belongs to; null for a folder that is none of ours. */
export function socketFolderOwner(folder: string): number | null {
  const match = NAME.exec(folder.slice(folder.lastIndexOf('/') + 1));
  return match?.[1] === undefined ? null : Number(match[1]);
}

/** Whether a process of that id runs, whoever it belongs to. One that has ended and only waits to be reaped does not. */
export function isAlive(pid: number): boolean {
  return isTaken(pid) && !isZombie(pid);
}

/** Whether the number is in use: all that PostgreSQL asks before it says that a data folder is in use. */
export function isTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** By the state after the name in `/proc/<pid>/stat` (proc(5)); systems without it say no. */
function isZombie(pid: number): boolean {
  try {
    return /\) [ZX] [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function socketFolderParent(): string {
  const longest = join(tmpdir(), `hearth-pg-${process.pid}-XXXXXX`, SOCKET_FILE);
  return Buffer.byteLength(longest) <= MAX_SOCKET_PATH ? tmpdir() : '/tmp';
}

/** By name and not recursively, so that a folder of this name with something else in it stays. */
async function removeDeadFolders(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const owner = socketFolderOwner(name);
    if (owner === null || isAlive(owner)) continue;
    const path = join(parent, name);
    // Another node may be cleaning up as well, other users' folders are theirs to clean, and a server may still run.
    const ignore = () => {};
    for (const file of [PASSWORD_FILE, SOCKET_FILE, `${SOCKET_FILE}.lock`])
      await unlink(join(path, file)).catch(ignore);
    await rmdir(path).catch(ignore);
  }
}
