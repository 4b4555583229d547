/** What a function may import, and what is said of everything else. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { dirname, extname, join, relative, resolve, sep } from 'node:path';
import type { Loader, OnLoadResult, OnResolveArgs, OnResolveResult, Plugin } from 'esbuild';
import type { ImportMap } from './prepare_import_map.js';
import { USER_NAMESPACE } from './prepare_source_map.js';

export interface ImportRules {
  plugin: Plugin;
  /** The imports that were left for the second step. */
  external(): string[];
  seen(): { serves: boolean; reexports: boolean };
}

interface Rules {
  entry: { path: string; code: string; loader: Loader };
  root: string | null;
  maxCodeBytes: number;
  failing: ReadonlyMap<string, string>;
  importMap: ImportMap | null;
}

const LOADERS: Record<string, Loader> = {
  '.ts': 'ts',
  '.mts': 'ts',
  '.tsx': 'tsx',
  '.js': 'js',
  '.mjs': 'js',
  '.jsx': 'jsx',
};
const ATTRIBUTES: Record<string, Loader> = { json: 'json', text: 'text', bytes: 'binary' };
const NPM = /^npm:\/?(@[\w.~-]+\/)?[\w~][\w.~-]*(@[\w.~^<>=| *+-]+)?(\/[^\s'"`\\]*)?$/;
const JSR = /^jsr:\/?@[a-z0-9-]+\/[a-z0-9-]+(@[\w.~^<>=| *+-]+)?(\/[^\s'"`\\]*)?$/;
const SERVES = /\bDeno\s*\.\s*serve\b|\baddEventListener\b/;
const REEXPORTS = /\bexport\s*\*\s*from\b/;

/** The plugin that resolves every import itself, so that esbuild never looks at a file that it was not given. */
export function importRules(rules: Rules): ImportRules {
  const external = new Set<string>();
  const seen = { serves: SERVES.test(rules.entry.code), reexports: REEXPORTS.test(rules.entry.code) };
  const plugin: Plugin = {
    name: 'imports',
    setup(build) {
      build.onResolve({ filter: /.*/ }, async (args) => {
        if (args.kind === 'entry-point') return { path: rules.entry.path, namespace: USER_NAMESPACE };
        // There is no `require` in an ES module: it is left to fail, or to be guarded, when it runs.
        if (args.kind === 'require-call' || args.kind === 'require-resolve')
          return { path: args.path, external: true };
        const answer = await resolveImport(args, rules);
        if ('error' in answer) return { errors: [{ text: answer.error }] };
        if (answer.fetch) external.add(answer.result.path);
        return answer.result;
      });
      build.onLoad({ filter: /.*/, namespace: USER_NAMESPACE }, async (args): Promise<OnLoadResult> => {
        if (args.path === rules.entry.path && args.with.type === undefined) {
          return { contents: rules.entry.code, loader: rules.entry.loader };
        }
        if (rules.root === null) return { errors: [{ text: `${args.path} cannot be read` }] };
        const contents = await readFile(join(rules.root, args.path));
        if (SERVES.test(contents.toString())) seen.serves = true;
        const type = args.with.type;
        const loader = type === undefined ? LOADERS[extname(args.path)] : ATTRIBUTES[type];
        return loader === undefined ? { contents } : { contents, loader };
      });
    },
  };
  return { plugin, external: () => [...external], seen: () => seen };
}

type Answer = { result: OnResolveResult & { path: string }; fetch: boolean } | { error: string };

async function resolveImport(asked: OnResolveArgs, rules: Rules): Promise<Answer> {
  const { importMap } = rules;
  const mapped = importMap?.resolve(asked.path) ?? null;
  // What the map says is relative to the map.
  const args =
    mapped === null || importMap === null ? asked : { ...asked, path: mapped, importer: importMap.file };
  const { path } = args;
  const failing = rules.failing.get(path);
  if (failing !== undefined) return { error: failing };
  if (path.length > 2048) return { error: 'An import of more than 2048 characters' };
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(path)?.[1]?.toLowerCase();
  switch (scheme) {
    case 'node':
      if (builtinModules.includes(path.slice(5)) || path === 'node:sqlite' || path === 'node:test') {
        return { result: { path, external: true }, fetch: false };
      }
      return { error: `There is no built-in module "${path}"` };
    case 'npm':
      return NPM.test(path)
        ? toFetch(path)
        : { error: `"${path}" is not a valid npm import: write npm:name@version` };
    case 'jsr':
      return JSR.test(path)
        ? toFetch(path)
        : { error: `"${path}" is not a valid jsr import: write jsr:@scope/name@version` };
    case 'https':
      return URL.canParse(path) ? toFetch(path) : { error: `"${path}" is not a valid URL` };
    case 'http':
      return { error: `Cannot import "${path}": only https: URLs can be imported` };
    case 'file':
      return { error: `Cannot import "${path}": a function cannot import files of the server` };
    case 'data':
    case 'blob':
      return { error: `Cannot import a ${scheme}: URL` };
    case undefined:
      break;
    default:
      return { error: `Cannot import "${path}": "${scheme}:" imports are not supported` };
  }
  if (path.startsWith('/'))
    return { error: `Cannot import "${path}": a function cannot import by absolute path` };
  if (!/^\.\.?(\/|$)/.test(path)) return { error: bare(path, importMap) };
  return rules.root === null ? { error: alone(path) } : inside(args, rules.root, rules.maxCodeBytes);
}

function toFetch(path: string): Answer {
  return { result: { path, external: true }, fetch: true };
}

function bare(path: string, importMap: ImportMap | null): string {
  if (path.startsWith('#') && importMap === null) return `Cannot import "${path}": there is no import map`;
  if (importMap !== null)
    return `Cannot import "${path}": it is not among the "imports" of ${importMap.file}`;
  const name = path.split('/')[0] ?? path;
  const suggestion = builtinModules.includes(name) ? `node:${path}` : `npm:${path}`;
  return `Cannot import "${path}": a bare name is not resolved; did you mean "${suggestion}"?`;
}

function alone(path: string): string {
  return `A function of one module cannot import "${path}": there are no other files beside it`;
}

/** A file beside the entry: inside the root, also after its symbolic links, and small enough to read. */
async function inside(args: OnResolveArgs, root: string, maxCodeBytes: number): Promise<Answer> {
  const { path } = args;
  const target = resolve(join(root, dirname(args.importer)), path);
  const leaves = { error: `Cannot import "${path}": it leads out of the functions folder` };
  if (!target.startsWith(root + sep)) return leaves;
  let real: string;
  try {
    real = await realpath(target);
  } catch {
    return { error: `Cannot find "${path}"${await nearby(target, path)}` }; // realpath fails for what is not there
  }
  if (!real.startsWith(root + sep)) return leaves;
  const info = await stat(real);
  if (info.isDirectory())
    return { error: `Cannot import "${path}": it is a folder; import its index.ts by name` };
  if (!info.isFile()) return { error: `Cannot import "${path}": it is not a file` };
  if (info.size > maxCodeBytes) return { error: `Cannot import "${path}": it is over ${maxCodeBytes} bytes` };
  const type = args.with.type;
  if (type !== undefined && !(type in ATTRIBUTES)) {
    return { error: `Cannot import "${path}": "type" may be "json", "text" or "bytes", not "${type}"` };
  }
  if (type === undefined && LOADERS[extname(real)] === undefined) {
    return extname(real) === '.json'
      ? { error: `Cannot import "${path}": write \`with { type: "json" }\` after it` }
      : { error: `Cannot import "${path}": it is neither JavaScript nor TypeScript` };
  }
  const name = relative(root, real).split(sep).join('/');
  return { result: { path: name, namespace: USER_NAMESPACE }, fetch: false };
}

async function nearby(target: string, path: string): Promise<string> {
  for (const extension of Object.keys(LOADERS)) {
    try {
      await stat(target + extension);
      return `; did you mean "${path}${extension}"?`;
    } catch {
      // not there: the next one
    }
  }
  return '';
}
