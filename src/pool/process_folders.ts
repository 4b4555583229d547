/** A process's own folder on the host, before it is started. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { V8_CACHE_FILE } from './deno_dir.js';
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
 * The runner's code cache on its way to a process: an open file for bubblewrap to copy it from, and a copy in the folder
 * where there is no bubblewrap. Null where there is none, or it has been removed meanwhile: it is done without.
 */
export async function openRunnerCacheFor(
  path: string | null,
  dir: string,
  sandbox: Sandbox,
  user: number | null,
): Promise<number | null> {
  if (path === null) return null;
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return null;
  }
  if (sandbox.kind === 'bwrap') return file;
  try {
    const copy = join(dir, 'deno', V8_CACHE_FILE);
    await writeFile(copy, readFileSync(file), { mode: 0o600 });
    if (user !== null) await chown(copy, user, user);
  } finally {
    closeSync(file);
  }
  return null;
}
