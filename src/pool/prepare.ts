/** Deploy-time preparation: a function's code is checked, its imports are fetched, and one module comes out. */

import { createHash } from 'node:crypto';
import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, extname, relative, sep } from 'node:path';
import { HearthError } from '../errors.js';
import { bundleSource, type Module } from './prepare_bundle.js';
import { invalid } from './prepare_errors.js';
import { createFetcher } from './prepare_fetch.js';
import { findImportMap } from './prepare_import_map.js';
import type { ImportRecord } from './prepare_lock.js';
import { createQueue } from './prepare_queue.js';
import { nameSources } from './prepare_source_map.js';
import type { Sandbox } from './sandbox.js';

/** What the deploy step makes of a function's code, and what a process loads. */
export interface PreparedCode {
  /** The code as the user wrote it (the entry file of a folder). */
  code: string;
  /** One JavaScript module with an inline source map: all imports but `node:` inside. */
  bundle: string;
  /** SHA-256 of `bundle`, hex. */
  hash: string;
  /** What its `npm:`, `jsr:` and `https:` imports came to; null: it has none. */
  imports: ImportRecord | null;
}

/** One module as text, or a file on disk whose relative imports may stay inside `root` only. */
export type FunctionSource = {
  /** Names the file of a text in stacks: `<name>.ts`. */
  name: string;
  /** What the imports of the version before came to: the same bytes again, or an error. */
  before?: ImportRecord | null;
  /** The hash of that version's bundle, where it need not be made again of the same code: `bundle` is then empty. */
  keep?: string;
} & ({ code: string } | { entry: string; root: string });

export interface PrepareOptions {
  /** The Deno binary that fetches `npm:`, `jsr:` and `https:` imports. */
  denoPath: string;
  /** The platform's own DENO_DIR; created if it is missing. Never shown to a function. */
  cacheDir: string;
  /** The node's environment: PATH, registry, proxy and certificate settings reach Deno, nothing else does. */
  env: Readonly<Record<string, string | undefined>>;
  /** Bytes of UTF-8 of one module. Default 1 MiB. */
  maxCodeBytes?: number;
  /** Bytes of the whole bundle with its source map. Default 20 MiB. */
  maxBundleBytes?: number;
  /** Milliseconds that fetching may take. Default 60,000. */
  timeoutMs?: number;
  /** The walls that fetching and bundling run in; null: there are none on this machine. */
  sandbox: Sandbox | null;
  /** The esbuild that Deno bundles with (`findDenoEsbuild`); null: Deno downloads it. */
  esbuildPath: string | null;
  /** Bytes that one deploy may fetch. Default 512 MiB. */
  maxFetchBytes?: number;
  /** Bytes of fetched packages that are kept between deploys. Default 1 GiB. */
  maxCacheBytes?: number;
  /** A cache that cannot be tidied up. */
  onWarning?: (thrown: unknown) => void;
}

export type Prepare = (source: FunctionSource) => Promise<PreparedCode>;

const MIB = 1024 * 1024;
/** esbuild's parser recurses: a stack a thousand times deeper than any code needs would end its process. */
const MAX_NESTING = 10_000;
const HANDLER_EXPORTS = ['default', 'handler', '__hearth_handler'];

/**
 * Makes the deploy step. Its runs share two bounded queues (parsing one at a time, fetching two at a time).
 * The returned function throws HearthError INVALID_FUNCTION (details by line and column), TOO_LARGE, OVERLOADED
 * (too many deploys wait) or UNAVAILABLE (the registry is out of reach).
 */
export function createPrepare(options: PrepareOptions): Prepare {
  const maxCodeBytes = options.maxCodeBytes ?? MIB;
  const maxBundleBytes = options.maxBundleBytes ?? 20 * MIB;
  const timeoutMs = options.timeoutMs ?? 60_000;
  const parsing = createQueue({ concurrency: 1, waiting: 200 });
  const fetchImports = createFetcher({
    maxFetchBytes: 512 * MIB,
    maxCacheBytes: 1024 * MIB,
    onWarning: () => {},
    ...options,
    maxBundleBytes,
    timeoutMs,
  });

  return async (source) => {
    const own = 'code' in source ? textEntry(source) : await fileEntry(source, maxCodeBytes);
    checkText(own.module.code, maxCodeBytes);
    const bundle = (failing?: ReadonlyMap<string, string>) =>
      parsing.run(() => bundleSource({ ...own, maxCodeBytes, timeoutMs, failing: failing ?? new Map() }));

    const bundled = await bundle();
    if (
      !bundled.reexports &&
      !HANDLER_EXPORTS.some((name) => bundled.exports.includes(name)) &&
      !bundled.serves
    ) {
      throw invalid([{ message: NO_HANDLER }]);
    }
    let text = bundled.text;
    let imports: ImportRecord | null = null;
    if (bundled.external.length > 0) {
      // Deno reads whatever file an import names, so none may have come about while esbuild folded the code
      // (an enum of another file becomes a literal in `import(E.A)`).
      const again = { path: 'main.js', code: bundled.text, extension: '.js', made: true as const };
      const limits = { maxCodeBytes: maxBundleBytes, timeoutMs, failing: new Map<string, string>() };
      await parsing.run(() => bundleSource({ module: again, root: null, importMap: null, ...limits }));
      const entry = sha256(bundled.text);
      const { before = null, keep } = source;
      if (keep !== undefined && before?.entry === entry)
        return { code: own.module.code, bundle: '', hash: keep, imports: before };
      const fetched = await fetchImports({
        entry,
        text: bundled.text,
        asked: bundled.external,
        before,
      });
      // Asked again with the failing imports marked, esbuild itself says where in the user's code they are.
      if (fetched.kind === 'failed') {
        await bundle(fetched.failing);
        throw invalid([...fetched.failing.values()].map((message) => ({ message })));
      }
      text = fetched.text;
      imports = fetched.imports;
    }
    text = nameSources(text);
    if (Buffer.byteLength(text) > maxBundleBytes)
      throw tooLarge('The function with its imports', maxBundleBytes);
    return { code: own.module.code, bundle: text, hash: sha256(text), imports };
  };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

const NO_HANDLER =
  'The module exports no handler: write `async function handler(request) {…}`, ' +
  '`export default { fetch(request) {…} }` (or `export default` a function), or call `Deno.serve(handler)`';

function textEntry(source: { code: string; name: string }) {
  const module: Module = { path: `${source.name}.ts`, code: source.code };
  return { module, root: null, importMap: null };
}

async function fileEntry(source: { entry: string; root: string }, maxCodeBytes: number) {
  const root = await realpath(source.root);
  const path = await realpath(source.entry);
  if (!path.startsWith(root + sep)) {
    throw invalid([{ message: `${basename(source.entry)} leads out of the functions folder` }]);
  }
  const info = await stat(path);
  if (!info.isFile()) throw invalid([{ message: `${basename(source.entry)} is not a file` }]);
  if (info.size > maxCodeBytes) throw tooLarge('The code', maxCodeBytes);
  const code = decode(await readFile(path));
  return {
    module: { path: relative(root, path).split(sep).join('/'), code, extension: extname(path) },
    root,
    importMap: await findImportMap(root, path),
  };
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    // TextDecoder throws for malformed UTF-8 alone.
    throw new HearthError('INVALID_FUNCTION', 'The code is not valid UTF-8', {
      details: [{ field: 'code', message: 'is not valid UTF-8' }],
      cause: error,
    });
  }
}

function checkText(code: string, maxCodeBytes: number) {
  if (code.trim() === '') throw invalid([{ message: 'The code is empty' }]);
  if (Buffer.byteLength(code) > maxCodeBytes) throw tooLarge('The code', maxCodeBytes);
  const surrogate = code.search(/\p{Surrogate}/u);
  if (surrogate >= 0)
    throw invalid([{ message: 'Half a character (a lone surrogate)', ...placeOf(code, surrogate) }]);
  const nul = code.indexOf('\0');
  if (nul >= 0) throw invalid([{ message: 'A NUL character', ...placeOf(code, nul) }]);
  const deep = tooDeep(code);
  if (deep >= 0) throw invalid([{ message: 'Brackets are nested too deeply', ...placeOf(code, deep) }]);
}

/** Where brackets, those in strings included, are open more than MAX_NESTING deep; -1 if nowhere. */
function tooDeep(code: string): number {
  let depth = 0;
  for (let index = 0; index < code.length; index++) {
    const char = code.charCodeAt(index);
    if (char === 0x28 || char === 0x5b || char === 0x7b) {
      if (++depth > MAX_NESTING) return index;
    } else if ((char === 0x29 || char === 0x5d || char === 0x7d) && depth > 0) depth--;
  }
  return -1;
}

function placeOf(code: string, index: number): { line: number; column: number } {
  const before = code.slice(0, index).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

function tooLarge(what: string, bytes: number): HearthError {
  return new HearthError('TOO_LARGE', `${what} is over the limit of ${bytes} bytes`, {
    details: [{ field: 'code', message: `may have ${bytes} bytes` }],
  });
}
