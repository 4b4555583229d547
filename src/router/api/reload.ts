/** Brings the stored functions in line with the files of a folder: files decide for the functions that came from files. */
import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { type ErrorDetail, HearthError } from '../../errors.js';
import type { FunctionWithCode } from '../../store/functions.js';
import type { Actor } from '../../store/types.js';
import type { ApiOptions } from './context.js';
import { deploy } from './deploy.js';
import { DEFAULT_SETTINGS, nameField } from './fields.js';
import { problemOf } from './validate.js';

export interface ReloadOptions extends Pick<ApiOptions, 'prepare' | 'changed' | 'functionsDir'> {
  store: Pick<ApiOptions['store'], 'functions'>;
  tenant: string;
  actor: Actor;
}

export interface Reloaded {
  created: string[];
  updated: string[];
  deleted: string[];
  unchanged: string[];
  /** Functions that are left as they were, or not created, with the reason. */
  errors: { name: string; error: string; details?: ErrorDetail[] }[];
}

const AT_ONCE = 8;
const EXTENSIONS = ['.ts', '.tsx', '.mts', '.js', '.jsx', '.mjs'];

/**
 * Reads `name.ts` (or .tsx, .mts, .js, .jsx, .mjs) and `name/index.ts` of the folder; what starts with `_` or `.` is not a
 * function. A broken file changes nothing. A folder that cannot be read is one error and deletes nothing.
 */
export async function reloadFromFiles(options: ReloadOptions): Promise<Reloaded> {
  const { store, tenant, changed, functionsDir } = options;
  const reloaded: Reloaded = { created: [], updated: [], deleted: [], unchanged: [], errors: [] };
  let files: Map<string, string[]>;
  try {
    files = await findFiles(functionsDir);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    reloaded.errors.push({
      name: basename(functionsDir),
      error: `The functions folder cannot be read (${code})`,
    });
    return reloaded;
  }
  const stored = new Map((await store.functions.fromFiles(tenant)).map((fn) => [fn.name, fn]));
  const changes: string[] = [];
  const one = async ([name, entries]: [string, string[]]) => {
    try {
      const id = await reloadOne(name, entries, stored.get(name), options, reloaded);
      if (id !== null) changes.push(id);
    } catch (thrown) {
      if (!(thrown instanceof HearthError)) throw thrown;
      const details = thrown.details === undefined ? {} : { details: thrown.details };
      reloaded.errors.push({ name, error: thrown.message, ...details });
    }
  };
  const waiting = [...files];
  // A few at a time: one that fetches its imports does not keep the others waiting.
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await one(next);
    }),
  );
  for (const name of stored.keys()) {
    if (files.has(name)) continue;
    const id = await store.functions.remove(tenant, name, options.actor);
    if (id === null) continue;
    reloaded.deleted.push(name);
    changes.push(id);
  }
  await Promise.all(changes.map((id) => changed(id)));
  for (const names of [reloaded.created, reloaded.updated, reloaded.unchanged]) names.sort();
  reloaded.errors.sort((a, b) => (a.name < b.name ? -1 : 1));
  return reloaded;
}

/** The id of the function that it created or changed; null when there was nothing to do. */
async function reloadOne(
  name: string,
  entries: string[],
  current: FunctionWithCode | undefined,
  { store, tenant, actor, prepare, functionsDir }: ReloadOptions,
  reloaded: Reloaded,
): Promise<string | null> {
  const [entry = '', second] = entries;
  const problem = problemOf(nameField, name);
  if (problem !== null) throw new HearthError('INVALID_REQUEST', `The name ${name} ${problem}`);
  if (second !== undefined) {
    const names = entries.map((path) => path.slice(functionsDir.length + 1)).join(' and ');
    throw new HearthError('CONFLICT', `${names} are both named ${name}`);
  }
  if (current === undefined && (await store.functions.find(tenant, name)) !== null) {
    throw new HearthError('CONFLICT', 'name is taken by a function that was created through the API');
  }
  const { prepared, settings } = await deploy(
    {
      ...{ entry, root: functionsDir, name, before: current?.imports ?? null },
      ...(current === undefined ? {} : { keep: current.hash }),
    },
    prepare,
  );
  if (current === undefined) {
    const meta = await store.functions.insert({
      tenant,
      name,
      settings: { ...DEFAULT_SETTINGS, ...settings },
      prepared,
      source: 'file',
      actor,
    });
    reloaded.created.push(name);
    return meta.id;
  }
  if (current.hash === prepared.hash && current.code === prepared.code) {
    reloaded.unchanged.push(name);
    return null;
  }
  const meta = await store.functions.update(tenant, name, { settings, prepared, actor });
  if (meta === null) throw new HearthError('NOT_FOUND', 'was deleted while it was being reloaded');
  reloaded.updated.push(name);
  return meta.id;
}

/** Entry files by function name, in the order of the names; more than one file of a name is for the caller to refuse. */
async function findFiles(dir: string): Promise<Map<string, string[]>> {
  const files = new Map<string, string[]>();
  const add = (name: string, path: string) => files.set(name, [...(files.get(name) ?? []), path]);
  for (const found of (await readdir(dir)).sort()) {
    if (/^[_.]/.test(found) || /\.(d|test|spec)\.\w+$/.test(found)) continue;
    const path = join(dir, found);
    if (EXTENSIONS.includes(extname(found))) {
      if (await isFile(path)) add(basename(found, extname(found)), path);
      continue;
    }
    for (const extension of EXTENSIONS) {
      const index = join(path, `index${extension}`);
      if (await isFile(index)) add(found, index);
    }
  }
  return files;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    // Not there, or `path` goes through something that is no folder: both mean that there is no such file.
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return false;
    throw error;
  }
}
