/** The first step of a deploy: esbuild makes one module of the user's own files and names what is still to be fetched. */
import * as esbuild from 'esbuild';
import { HearthError } from '../errors.js';
import { invalid, toProblem } from './prepare_errors.js';
import type { ImportMap } from './prepare_import_map.js';
import { importRules } from './prepare_imports.js';

/** A module of the user's: `path` is how stacks and errors name it. */
export interface Module {
  path: string;
  code: string;
  /** Of a file on disk, with its dot; text is TypeScript, with JSX if it does not parse without. */
  extension?: string;
  /** Made by an earlier run: nothing is added to it. */
  made?: true;
}

export interface BundleInput {
  module: Module;
  /** Real path of the folder that relative imports stay in; null: one module alone. */
  root: string | null;
  maxCodeBytes: number;
  timeoutMs: number;
  /** What names stand for. */
  importMap: ImportMap | null;
  /** Imports that are known not to load, with what to say of each. */
  failing: ReadonlyMap<string, string>;
}

export interface Bundled {
  /** The module, its source map inline. */
  text: string;
  /** `npm:`, `jsr:` and `https:` imports, each once. */
  external: string[];
  exports: string[];
  /** It has `export * from` an import that is not fetched yet: its exports are not all known. */
  reexports: boolean;
  /** The text calls `Deno.serve` or `addEventListener`. */
  serves: boolean;
}

const HANDLER = '\nexport { handler as __hearth_handler };';
/** What esbuild says when its process is gone: the stack of its parser ran out, or it was stopped. */
const SERVICE_GONE = /^The service (was stopped|is no longer running)/;

/** Throws HearthError INVALID_FUNCTION. Not to be run twice at once: code that ends esbuild must be known. */
export async function bundleSource(input: BundleInput): Promise<Bundled> {
  const loaders = loadersOf(input.module);
  let first: esbuild.BuildFailure | undefined;
  for (const loader of loaders) {
    const outcome = await attempt(input, loader);
    if ('text' in outcome) return outcome;
    // Errors about imports mean that the code parses; only what does not may be JSX.
    const parses = outcome.errors.every((error) => error.pluginName !== '');
    first = parses ? outcome : (first ?? outcome);
    if (parses) break;
  }
  throw invalid((first?.errors ?? []).map((error) => toProblem(error, input.module)));
}

function loadersOf(module: Module): esbuild.Loader[] {
  switch (module.extension) {
    case undefined:
      return ['ts', 'tsx'];
    case '.tsx':
      return ['tsx'];
    case '.jsx':
      return ['jsx'];
    case '.js':
    case '.mjs':
      return ['js'];
    default:
      return ['ts'];
  }
}

async function attempt(input: BundleInput, loader: esbuild.Loader): Promise<Bundled | esbuild.BuildFailure> {
  if (input.module.made) return build(input, loader, input.module.code);
  const outcome = await build(input, loader, input.module.code + HANDLER);
  if (
    'text' in outcome ||
    !outcome.errors.some((error) => error.text.includes('"handler" is not declared'))
  ) {
    return outcome;
  }
  return build(input, loader, input.module.code);
}

async function build(input: BundleInput, loader: esbuild.Loader, code: string) {
  const rules = importRules({ ...input, entry: { ...input.module, code, loader } });
  const source = input.importMap?.jsxImportSource;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooDeep()), input.timeoutMs);
  });
  try {
    const building = esbuild.build({
      entryPoints: [input.module.path],
      outfile: '/main.js',
      absWorkingDir: '/',
      write: false,
      bundle: true,
      format: 'esm',
      target: 'esnext',
      // V8 has no decorators yet.
      supported: { decorators: false },
      platform: 'neutral',
      charset: 'utf8',
      jsx: 'automatic',
      ...(source === null || source === undefined ? {} : { jsxImportSource: source }),
      keepNames: false,
      legalComments: 'none',
      sourcemap: 'inline',
      metafile: true,
      tsconfigRaw: '{}',
      logLevel: 'silent',
      logLimit: 20,
      plugins: [rules.plugin],
    });
    // A build whose service is stopped may never settle: the time limit answers for it.
    const result = await Promise.race([building, late]);
    const text = result.outputFiles[0]?.text ?? '';
    const [output] = Object.values(result.metafile.outputs);
    return { text, external: rules.external(), exports: output?.exports ?? [], ...rules.seen() };
  } catch (thrown) {
    if (isBuildFailure(thrown)) return thrown;
    const gone = thrown instanceof Error && SERVICE_GONE.test(thrown.message);
    if (gone || thrown instanceof HearthError) await esbuild.stop(); // the next build then starts a new one
    throw gone ? tooDeep() : thrown;
  } finally {
    clearTimeout(timer);
  }
}

function tooDeep(): HearthError {
  return invalid([{ message: 'The code is too deeply nested to be parsed' }]);
}

function isBuildFailure(thrown: unknown): thrown is esbuild.BuildFailure {
  return thrown instanceof Error && 'errors' in thrown && Array.isArray(thrown.errors);
}
