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
  /** Runs what reads and fills the cache; while it is to be emptied, whoever comes waits for those that are at it. */
  use<T>(work: () => Promise<T>): Promise<T>;
  /** Something was fetched. Where that is too much, the cache is emptied as soon as nobody uses it. */
  grown(): void;
  /** As it was found last; null: it has not been looked at. */
  bytes(): number | null;
}

export function createImportCache(options: ImportCacheOptions): ImportCache {
  let users = 0;
  let known: number | null = null;
  let looking = false;
  let emptying: Promise<void> | null = null;
  let onIdle: () => void = () => {};

  async function look() {
    if (looking) return;
    looking = true;
    try {
      known = await bytesBelow(options.dir);
      if (known > options.maxBytes) emptying ??= empty();
    } catch (thrown) {
      options.onWarning(thrown); // a disk that fails: looked at again when something more is fetched
    } finally {
      looking = false;
    }
  }

  async function empty() {
    if (users > 0) {
      await new Promise<void>((resolve) => {
        onIdle = resolve;
      });
    }
    try {
      for (const name of await readdir(options.dir)) {
        if (options.kept.includes(name)) continue;
        await rm(join(options.dir, name), { recursive: true, force: true });
      }
      known = await bytesBelow(options.dir);
    } catch (thrown) {
      options.onWarning(thrown); // a disk that fails: the next deploy that fetches something tries again
    } finally {
      emptying = null;
    }
  }

  return {
    async use(work) {
      while (emptying !== null) await emptying;
      users++;
      try {
        return await work();
      } finally {
        if (--users === 0) onIdle();
      }
    },
    grown: () => void look(),
    bytes: () => known,
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
