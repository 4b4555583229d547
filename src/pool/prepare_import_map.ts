/** The import map of a function in a folder: `imports` in a `deno.json` beside it, or beside all functions. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { messageOf } from '../errors.js';
import { invalid } from './prepare_errors.js';

export interface ImportMap {
  /** What a specifier stands for; null where the map says nothing. */
  resolve(specifier: string): string | null;
  /** The file, from the root: what its relative addresses start from. */
  file: string;
  /** `compilerOptions.jsxImportSource`. */
  jsxImportSource: string | null;
}

/** In the order in which they are looked for, in the function's folder and then in the root. */
const FILES = ['deno.json', 'deno.jsonc', 'import_map.json'];
const MAX_BYTES = 256 * 1024;

/**
 * @param root real path of the folder that imports stay in. @param entry real path of the function's module.
 * @returns null where there is none. @throws HearthError INVALID_FUNCTION for one that cannot be used.
 */
export async function findImportMap(root: string, entry: string): Promise<ImportMap | null> {
  for (const folder of new Set([dirname(entry), root])) {
    for (const name of FILES) {
      const path = join(folder, name);
      const text = await read(path, root);
      if (text !== null) return parse(text, relative(root, path).split(sep).join('/'));
    }
  }
  return null;
}

async function read(path: string, root: string): Promise<string | null> {
  let real: string;
  try {
    real = await realpath(path);
  } catch {
    return null; // realpath fails for what is not there
  }
  const info = await stat(real);
  const file = relative(root, path);
  if (!real.startsWith(root + sep)) throw invalid([{ message: `${file} leads out of the functions folder` }]);
  if (!info.isFile()) throw invalid([{ message: `${file} is not a file` }]);
  if (info.size > MAX_BYTES) throw invalid([{ message: `${file} is over ${MAX_BYTES} bytes` }]);
  return await readFile(real, 'utf8');
}

function parse(text: string, file: string): ImportMap {
  const fail = (message: string) => invalid([{ message: `In ${file}: ${message}` }]);
  let found: unknown;
  try {
    found = JSON.parse(withoutComments(text));
  } catch (error) {
    throw fail(messageOf(error));
  }
  if (!isObject(found)) throw fail('it is not an object');
  if (isObject(found.scopes) && Object.keys(found.scopes).length > 0)
    throw fail('"scopes" are not supported; put everything into "imports"');
  if (found.importMap !== undefined) throw fail('"importMap" is not supported; put "imports" here');
  const { imports = {}, compilerOptions } = found;
  if (!isObject(imports)) throw fail('"imports" must be an object');
  const map = new Map<string, string>();
  for (const [key, address] of Object.entries(imports)) {
    if (/^\.{0,2}\//.test(key)) throw fail(`the key "${key}" is a path; only names and URLs can be mapped`);
    if (typeof address !== 'string') throw fail(`"${key}" must be mapped to a text`);
    if (!/^(\.{1,2}\/|[a-z][a-z0-9+.-]*:)/i.test(address))
      throw fail(
        `"${key}" is mapped to "${address}", which is neither a URL nor a path that begins with ./ or ../`,
      );
    if (key.endsWith('/') && !address.endsWith('/'))
      throw fail(`"${key}" ends with a slash, and "${address}" does not`);
    map.set(key, address);
  }
  const source = isObject(compilerOptions) ? compilerOptions.jsxImportSource : undefined;
  return {
    file,
    jsxImportSource: typeof source === 'string' ? source : null,
    resolve: (specifier) => map.get(specifier) ?? byPrefix(map, specifier),
  };
}

/** The longest key that ends with a slash and begins the specifier; a package's name stands for its files too, as in Deno. */
function byPrefix(map: ReadonlyMap<string, string>, specifier: string): string | null {
  for (let at = specifier.lastIndexOf('/'); at >= 0; at = specifier.lastIndexOf('/', at - 1)) {
    const prefix = specifier.slice(0, at + 1);
    const address = map.get(prefix);
    if (address !== undefined) return address + specifier.slice(at + 1);
    const own = map.get(prefix.slice(0, -1));
    if (own !== undefined && /^(npm|jsr):/.test(own)) return own + specifier.slice(at);
    if (at === 0) break;
  }
  return null;
}

/** JSON with comments and trailing commas, as Deno takes it, as JSON; other characters stay where they are. */
function withoutComments(text: string): string {
  return text
    .replace(/"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (found) =>
      found.startsWith('"') ? found : found.replace(/[^\n]/g, ' '),
    )
    .replace(/"(?:[^"\\\n]|\\.)*"|,(?=\s*[}\]])/g, (found) => (found === ',' ? ' ' : found));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
