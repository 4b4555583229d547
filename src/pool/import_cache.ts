/** What Deno has fetched for deploys, kept on disk so that the next one need not: bounded, and emptied when no deploy reads it. */
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

export interface ImportCacheOptions {
  /** Deno's DENO_DIR. */
  dir: string;
  /** Bytes over which it is emptied. */
  maxBytes: number;
  /** What is not to go: names of entries in `dir`. */
  kept: readonly string[];
  onWarning(thrown: unknown): void;
}

export interface ImportCache {
  /** Runs what reads and fills the cache. What is over the bound afterwards goes as soon as nobody does. */
  use<T>(work: () => Promise<T>): Promise<T>;
}

export function createImportCache(options: ImportCacheOptions): ImportCache {
  let users = 0;
  let emptying: Promise<void> | null = null;

  async function tidy() {
    if ((await bytesBelow(options.dir)) <= options.maxBytes) return;
    for (const name of await readdir(options.dir)) {
      if (options.kept.includes(name)) continue;
      await rm(join(options.dir, name), { recursive: true, force: true });
    }
  }

  return {
    async use(work) {
      while (emptying !== null) await emptying;
      users++;
      try {
        return await work();
      } finally {
        // Those that come meanwhile wait; the answer to this one does not.
        if (--users === 0) {
          emptying = tidy()
            .catch(options.onWarning)
            .finally(() => {
              emptying = null;
            });
        }
      }
    },
  };
}

/** Bytes of the files below a folder; what goes while it is looked at is not counted. */
export async function bytesBelow(dir: string): Promise<number> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    let bytes = 0;
    // One folder after another: a cache has many, and nobody waits for the sum.
    for (const entry of entries) {
      const path = join(dir, entry.name);
      bytes += entry.isDirectory() ? await bytesBelow(path) : (await lstat(path)).size;
    }
    return bytes;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return 0;
    throw error;
  }
}
