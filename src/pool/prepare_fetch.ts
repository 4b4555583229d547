/** The second step of a deploy: Deno fetches the `npm:`, `jsr:` and `https:` imports and bundles them in. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HearthError, messageOf } from '../errors.js';
import { bytesBelow, createImportCache, type ImportCache } from './import_cache.js';
import { type DenoOptions, type DenoRun, FOLDERS, placesOf, runDeno } from './prepare_deno.js';
import { invalid } from './prepare_errors.js';
import { explain } from './prepare_explain.js';
import { type ImportRecord, lockFor, readLock, recordOf } from './prepare_lock.js';
import { heaviestOf, strangerIn } from './prepare_modules.js';
import { createQueue } from './prepare_queue.js';
import { alignLines } from './prepare_source_map.js';

export type Fetched =
  | { kind: 'ok'; text: string; imports: ImportRecord }
  | { kind: 'failed'; failing: Map<string, string> };

export interface FetchRequest {
  /** The module that the first step made. */
  text: string;
  /** SHA-256 of it, hex. */
  entry: string;
  /** Its `npm:`, `jsr:` and `https:` imports. */
  asked: string[];
  /** What they came to the last time; null: whatever there is now. */
  before: ImportRecord | null;
}

export interface FetchOptions extends DenoOptions {
  maxBundleBytes: number;
  /** ms for all of it. */
  timeoutMs: number;
  /** Bytes of what is kept of fetched packages over which it is let go. */
  maxCacheBytes: number;
  onWarning(thrown: unknown): void;
}

/** Where Deno 2.9.6 looks for its esbuild, below DENO_DIR; elsewhere it would download one. */
const ESBUILD_FOLDER = 'dl/esbuild-0.25.5-1';
const MAX_PACKAGES = 1000;
const FLAGS = ['--lock=deno.lock', '--no-config', '--node-modules-dir=none'];

/** Two runs at a time, 32 wait. What it makes has the imports inside; a failing import comes with what to say of it. */
export function createFetcher(options: FetchOptions): (request: FetchRequest) => Promise<Fetched> {
  const queue = createQueue({ concurrency: 2, waiting: 32 });
  const { cacheDir: dir, maxCacheBytes: maxBytes, onWarning } = options;
  const cache = createImportCache({ dir, maxBytes, kept: [FOLDERS, 'dl'], onWarning });
  let ready: Promise<void> | null = null;
  return (request) =>
    queue.run(() =>
      cache.use(async () => {
        ready ??= settle(options).finally(() => {
          ready = null;
        });
        await ready;
        return await fetchImports(request, options, cache);
      }),
    );
}

/** Folders, and the esbuild that Deno will look for. */
async function settle({ cacheDir, esbuildPath }: FetchOptions): Promise<void> {
  await mkdir(join(cacheDir, FOLDERS), { recursive: true });
  if (esbuildPath === null) return;
  const folder = join(cacheDir, ESBUILD_FOLDER);
  const target = join(folder, `esbuild-${process.platform}-${process.arch}`);
  const { size } = await stat(esbuildPath);
  if (existsSync(target) && (await stat(target)).size === size) return;
  await mkdir(folder, { recursive: true });
  const part = `${target}.part-${process.pid}`;
  await copyFile(esbuildPath, part);
  await rename(part, target);
}

async function fetchImports(
  request: FetchRequest,
  options: FetchOptions,
  cache: ImportCache,
): Promise<Fetched> {
  const { text, asked, before } = request;
  const folder = await mkdtemp(join(options.cacheDir, FOLDERS, 'bundle-'));
  const lockPath = join(folder, 'deno.lock');
  try {
    await writeFile(join(folder, 'entry.js'), text);
    if (before !== null) await writeFile(lockPath, lockFor(asked, before));
    const home = options.env.HOME;
    if (home !== undefined) await copyIfThere(join(home, '.npmrc'), join(folder, '.npmrc'));

    const until = performance.now() + options.timeoutMs;
    const known = cache.bytes();
    const bytesBefore = known ?? bytesBelow(options.cacheDir);
    const run = async (command: string, ...args: string[]) => {
      const limits = { timeoutMs: Math.max(1, until - performance.now()), bytesBefore };
      const ended = await runDeno([command, ...FLAGS, ...args], folder, options, limits);
      if (ended.kind !== 'exit' || /^Download /m.test(ended.stderr) || known === null) cache.grown();
      return finished(ended, request, options);
    };
    const bundled = await run(
      ...(['bundle', '--platform', 'deno', '--sourcemap', 'inline', '-o', 'out.js', 'entry.js'] as const),
    );
    if (bundled.code !== 0) {
      // `deno bundle` keeps to itself what went wrong while it fetched.
      const caching = await run('cache', 'entry.js');
      const stderr = caching.code === 0 ? bundled.stderr : caching.stderr;
      const lock = await readIfThere(lockPath);
      const locked = before !== null;
      return {
        kind: 'failed',
        failing: explain({ stderr, text, asked, lock: lock === null ? null : readLock(lock), locked }),
      };
    }
    return await accept(folder, lockPath, request, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function finished(run: DenoRun, { asked }: FetchRequest, options: FetchOptions) {
  if (run.kind === 'exit') return run;
  if (run.kind === 'too-large') {
    const message = `The imports have more than ${options.maxFetchBytes} bytes with all that they depend on: ${asked.join(', ')}`;
    throw new HearthError('TOO_LARGE', message, { details: [{ field: 'code', message }] });
  }
  const seconds = Math.round(options.timeoutMs / 1000);
  throw invalid([
    { message: `The imports could not be fetched within ${seconds} seconds: ${asked.join(', ')}` },
  ]);
}

/** Looks at what Deno made before anything of it is kept. */
async function accept(
  folder: string,
  lockPath: string,
  { asked, entry }: FetchRequest,
  options: FetchOptions,
): Promise<Fetched> {
  const out = join(folder, 'out.js');
  const { size } = await stat(out);
  // Deno's map still holds the packages' sources, which are dropped later: hence the wider bound here.
  if (size > options.maxBundleBytes * 4) throw await tooHeavy(out, size, options.maxBundleBytes);
  const imports = recordOf(asked, entry, await readFile(lockPath, 'utf8'));
  const packages = Object.keys(readLock(imports.lock).npm).length;
  if (packages > MAX_PACKAGES)
    throw invalid([
      { message: `The imports bring ${packages} packages with them; ${MAX_PACKAGES} are allowed` },
    ]);
  const text = await readFile(out, 'utf8');
  const stranger = strangerIn(text, placesOf(folder, options), { denoDir: options.cacheDir, folder });
  if (stranger !== null) {
    throw invalid([
      { message: `An imported package asks for a file that is not one of a package (${stranger})` },
    ]);
  }
  if (Buffer.byteLength(text) - mapBytes(text) > options.maxBundleBytes)
    throw await tooHeavy(out, size, options.maxBundleBytes);
  return { kind: 'ok', text: alignLines(text), imports };
}

function mapBytes(text: string): number {
  const at = text.lastIndexOf('//# sourceMappingURL=');
  return at < 0 ? 0 : text.length - at; // base64: a byte for each character
}

async function tooHeavy(out: string, size: number, limit: number): Promise<HearthError> {
  const { name, bytes } = await heaviestOf(out);
  const message =
    `The function with its imports is over the limit of ${limit} bytes: ` +
    (name === null
      ? `it has ${size} with its source map`
      : `the largest of them, ${name}, has ${bytes} alone`);
  return new HearthError('TOO_LARGE', message, {
    details: [{ field: 'code', message: `may have ${limit} bytes with its imports` }],
  });
}

async function readIfThere(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch((error: unknown) => {
    if (messageOf(error).startsWith('ENOENT')) return null; // Deno had none to write
    throw error;
  });
}

async function copyIfThere(from: string, to: string) {
  try {
    await copyFile(from, to);
  } catch (error) {
    // Most homes have none, and one that cannot be read is as good as none.
    if (
      !(
        error instanceof Error &&
        'code' in error &&
        ['ENOENT', 'EACCES', 'ENOTDIR'].includes(String(error.code))
      )
    ) {
      throw error;
    }
  }
}
