/** A process's own folder on the host, before it is started. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RUNNER_CACHE_FILES } from './deno_dir.js';
import type { Sandbox } from './sandbox.js';

/** Readable to the process's user alone, and its own to write to only where it has to. */
export async function makeFolders(dir: string, sandbox: Sandbox, user: number | null): Promise<void> {
  // Where there is no sandbox, its code cache and its scratch folder are on the disk too.
  const own = sandbox.kind === 'bwrap' ? ['run'] : ['run', 'deno', 'tmp'];
  await mkdir(dir, { mode: 0o700 });
  await Promise.all([...own, 'code'].map((name) => mkdir(join(dir, name), { mode: 0o700 })));
  if (user === null) return;
  await Promise.all(own.map((name) => chown(join(dir, name), user, user)));
  for (const path of [dir, join(dir, 'code')]) {
    await chown(path, 0, user);
    await chmod(path, 0o750);
  }
}

/**
 * The runner's databases on their way to a process: open files for bubblewrap to copy them from, and copies in the folder
 * where there is no bubblewrap. None where there are none, or they have been removed meanwhile: it is done without.
 */
export async function openRunnerCacheFor(
  folder: string | null,
  dir: string,
  sandbox: Sandbox,
  user: number | null,
): Promise<number[]> {
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
      await writeFile(copy, readFileSync(files[index] as number), { mode: 0o600 });
      if (user !== null) await chown(copy, user, user);
    }
  } finally {
    closeAll(files);
  }
  return [];
}

function closeAll(files: readonly number[]) {
  for (const file of files) closeSync(file);
}
