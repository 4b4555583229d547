/**
 * What Deno and V8 find out about the runner: what it imports, for which Deno parses it, and V8's code cache of it and of
 * what it uses of Deno. Found out once by a process that runs nothing else, kept on disk, and given to every process,
 * because doing all that anew is half of what a start costs.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RUNNER_CACHE_FILES } from './deno_dir.js';

export interface RunnerCache {
  /** The folder with the files to give to a process (`RUNNER_CACHE_FILES`); null: there are none yet. */
  folder(): string | null;
}

export interface RunnerCacheOptions {
  /** Belongs to this cache alone; made if it is missing. */
  dir: string;
  denoPath: string;
  runnerPath: string;
  /** Deno and V8 find a module by its address, which depends on the walls around the process. */
  sandboxKind: string;
  /** The content of each file, from a process that runs no function's code. */
  make(): Promise<Buffer[]>;
  onError(error: unknown): void;
}

const SQLITE = Buffer.from('SQLite format 3\0');
const MAX_BYTES = 16 * 1024 * 1024;

/** Finds what an earlier run made; else has it made behind the start, and processes do without it until then. */
export async function openRunnerCache(options: RunnerCacheOptions): Promise<RunnerCache> {
  const { dir, onError } = options;
  let ready: string | null = null;
  const name = await nameOf(options);
  const path = join(dir, name);
  if (await exists(path)) ready = path;
  else
    make().then(() => {
      ready = path;
    }, onError);

  async function make() {
    const databases = await options.make();
    if (databases.length !== RUNNER_CACHE_FILES.length || !databases.every(isDatabase))
      throw new Error("the runner's code cache is none");
    await mkdir(dir, { recursive: true, mode: 0o700 });
    for (const old of await readdir(dir)) await rm(join(dir, old), { recursive: true, force: true });
    const part = `${path}.part`;
    await mkdir(part, { mode: 0o700 });
    await Promise.all(
      RUNNER_CACHE_FILES.map((file, index) =>
        writeFile(join(part, file), databases[index] as Buffer, { mode: 0o600 }),
      ),
    );
    await rename(part, path);
  }

  return { folder: () => ready };
}

function isDatabase(bytes: Buffer): boolean {
  return bytes.length <= MAX_BYTES && bytes.subarray(0, SQLITE.length).equals(SQLITE);
}

/** Another Deno, runner or sandbox has another one, and so have other files. */
async function nameOf({ denoPath, runnerPath, sandboxKind }: RunnerCacheOptions): Promise<string> {
  const { size, mtimeMs } = await stat(denoPath);
  const runner = await readFile(runnerPath);
  const key = createHash('sha256')
    .update(`${RUNNER_CACHE_FILES.join()} ${size} ${mtimeMs} ${sandboxKind} `)
    .update(runner)
    .digest('hex');
  return key.slice(0, 32);
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false, // not there, or not to be read: it is made anew
  );
}
