/** A process's own folder on the host: made before it is started, and removed when it has ended. */
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CODE_FILES } from './code_files.js';
import { RUNNER_CACHE_FILES } from './deno_dir.js';
import { type Sandbox, SOCKET_FILES } from './sandbox.js';

// All of it at once, and each file by its name: in memory a call takes some µs, and a turn through the thread pool fifty.

/** Readable to the process's user alone, and its own to write to only where it has to. */
export function makeFolders(dir: string, sandbox: Sandbox, user: number | null): void {
  // Where there is no sandbox, its code cache and its scratch folder are on the disk too.
  const own = sandbox.kind === 'bwrap' ? ['run'] : ['run', 'deno', 'tmp'];
  mkdirSync(dir, { mode: 0o700 });
  for (const name of [...own, 'code']) mkdirSync(join(dir, name), { mode: 0o700 });
  if (user === null) return;
  for (const name of own) chownSync(join(dir, name), user, user);
  for (const path of [dir, join(dir, 'code')]) {
    chownSync(path, 0, user);
    chmodSync(path, 0o750);
  }
}

/** Takes its sockets out of its reach: it can neither replace them nor write to a folder that is no more. */
export function takeSockets(dir: string): void {
  for (const name of Object.values(SOCKET_FILES)) renameSync(join(dir, 'run', name), join(dir, name));
  rmdirSync(join(dir, 'run'));
}

/** Nobody else has it, so a failure can only mean that it is gone already. */
export function removeFolders(dir: string, sandbox: Sandbox): void {
  if (sandbox.kind === 'bwrap' && removeKnown(dir)) return;
  void rm(dir, { recursive: true, force: true }).catch(() => {});
}

/** Whether nothing else was there: a process that never was ready has left other things. */
function removeKnown(dir: string): boolean {
  try {
    for (const name of Object.values(SOCKET_FILES)) unlinkSync(join(dir, name));
    for (const name of CODE_FILES) unlinkIfThere(join(dir, 'code', name));
    rmdirSync(join(dir, 'code'));
    rmdirSync(dir);
    return true;
  } catch {
    return false;
  }
}

function unlinkIfThere(path: string) {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/**
 * The runner's databases on their way to a process: open files for bubblewrap to copy them from, and copies in the folder
 * where there is no bubblewrap. None where there are none, or they have been removed meanwhile: it is done without.
 */
export function openRunnerCacheFor(
  folder: string | null,
  dir: string,
  sandbox: Sandbox,
  user: number | null,
): number[] {
  if (folder === null) return [];
  const files: number[] = [];
  try {
    for (const name of RUNNER_CACHE_FILES) files.push(openSync(join(folder, name), 'r'));
  } catch {
    closeAll(files);
    return [];
  }
  if (sandbox.kind === 'bwrap') return files;
  try {
    for (const [index, name] of RUNNER_CACHE_FILES.entries()) {
      const copy = join(dir, 'deno', name);
      writeFileSync(copy, readFileSync(files[index] as number), { mode: 0o600 });
      if (user !== null) chownSync(copy, user, user);
    }
  } finally {
    closeAll(files);
  }
  return [];
}

function closeAll(files: readonly number[]) {
  for (const file of files) closeSync(file);
}
