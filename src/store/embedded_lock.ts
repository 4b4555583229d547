/** Whether another PostgreSQL runs on a data folder, by the `postmaster.pid` in it (PostgreSQL's `miscadmin.h`). */
import { readFile, readlink, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartError } from '../errors.js';
import { isAlive, isTaken, socketFolderOwner } from './embedded_socket.js';

/** A server whose node has just been killed shuts down within this time, in ms. */
const SHUTDOWN_MS = 5000;
/** A node that lives and is not about to stop its server is not waited for longer than this, in ms. */
const BUSY_MS = 300;

/**
 * Returns when no server runs on `data` any more.
 *
 * @throws StartError soon when a living node's server does, and after 5 s when one will not go.
 */
export async function waitUntilUnused(data: string): Promise<void> {
  const path = join(data, 'postmaster.pid');
  for (let waited = 0; ; waited += 50) {
    // No such file: no server runs, or none has ever run.
    const server = parse(await readFile(path, 'utf8').catch(() => ''));
    if (server === null) return;
    if (!isTaken(server.pid)) return;
    if (!isAlive(server.pid) || !(await runsOn(server.pid, data))) {
      // Another process that has the number now, as happens in containers, or a dead one that nobody has reaped:
      // PostgreSQL would refuse to start for it.
      await rm(path, { force: true });
      return;
    }
    const busy = server.owner !== null && isAlive(server.owner) && server.status === 'ready';
    if (waited >= (busy ? BUSY_MS : SHUTDOWN_MS)) throw inUse(data, busy ? server.owner : server.pid);
    await sleep(50);
  }
}

export function inUse(data: string, pid: number | null): StartError {
  return new StartError(`${data} is already in use by process ${pid ?? 'of another node'}`);
}

interface Server {
  pid: number;
  /** The node that started it, if one of ours did. */
  owner: number | null;
  status: string;
}

function parse(text: string): Server | null {
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return null;
  return { pid, owner: socketFolderOwner(lines[4]?.trim() ?? ''), status: lines[7]?.trim() ?? '' };
}

/** PostgreSQL's working directory is its data folder. */
async function runsOn(pid: number, data: string): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(data));
  } catch (error) {
    // EACCES: another user's process, which may well be the server. ENOENT: it has ended meanwhile.
    return !(error instanceof Error && 'code' in error && error.code === 'ENOENT');
  }
}
