/** The root folder that every sandboxed process sees: what the Deno binary needs to run, and nothing else. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { chmod, copyFile, link, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

export interface RootOptions {
  denoPath: string;
  runnerPath: string;
  /** Sets the limits from within; null: none are set. */
  prlimit: string | null;
}

/** Where things lie in it. */
export const INSIDE = {
  deno: '/deno',
  runner: '/runner.js',
  prlimit: '/prlimit',
  code: '/fn/code',
  run: '/fn/run',
  denoDir: '/fn/deno',
  scratch: '/tmp',
};

const run = promisify(execFile);

/**
 * Makes the tree at `dir`: shared libraries as the dynamic loader names them, the runner, and empty places to mount the
 * rest on. Names resolve by files and DNS. Deno brings its CA certificates and time zones in its binary.
 */
export async function makeSandboxRoot(dir: string, options: RootOptions): Promise<void> {
  const programs = [options.denoPath, ...(options.prlimit === null ? [] : [options.prlimit])];
  const libraries = new Set((await Promise.all(programs.map(librariesOf))).flat());
  for (const path of await resolverLibraries(libraries)) libraries.add(path);
  for (const path of ['etc', 'proc/self', 'tmp', 'fn/code', 'fn/run', 'fn/deno'])
    await mkdir(join(dir, path), { recursive: true, mode: 0o755 });
  await Promise.all([
    ...[...libraries].map((path) => copyInto(dir, path, path)),
    copyInto(dir, options.runnerPath, INSIDE.runner),
    ...(options.prlimit === null ? [] : [copyInto(dir, options.prlimit, INSIDE.prlimit)]),
    writeFile(join(dir, 'deno'), ''),
    writeFile(join(dir, 'etc/resolv.conf'), ''),
    writeFile(join(dir, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost\n'),
    writeFile(join(dir, 'etc/nsswitch.conf'), 'hosts: files dns\n'),
  ]);
  // Whatever the node's umask: the processes may be other users'.
  const made = await readdir(dir, { recursive: true });
  await Promise.all(['', ...made].map((name) => chmod(join(dir, name), 0o755)));
  // All that Deno asks of /proc is where its own binary is.
  await symlink(INSIDE.deno, join(dir, 'proc/self/exe'));
}

/** What the loader would map into the program, as absolute paths: what ldd prints. */
async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run(program, [], { env: { LD_TRACE_LOADED_OBJECTS: '1' }, timeout: 5_000 });
  return [...stdout.matchAll(/(\/\S+) \(0x[0-9a-f]+\)/g)].map(([, path = '']) => path);
}

/** The C library opens these by name when a host is looked up; since 2.34 it has them within. */
async function resolverLibraries(libraries: ReadonlySet<string>): Promise<string[]> {
  const libc = [...libraries].find((path) => basename(path).startsWith('libc.so'));
  if (libc === undefined) return [];
  const folder = dirname(libc);
  return (await readdir(folder))
    .filter((name) => /^lib(nss_files|nss_dns|resolv)\.so\.\d+$/.test(name))
    .map((name) => join(folder, name));
}

async function copyInto(dir: string, from: string, to: string): Promise<void> {
  const target = join(dir, to);
  await mkdir(dirname(target), { recursive: true, mode: 0o755 });
  await copyFile(from, target, constants.COPYFILE_FICLONE);
}

/** A path to the same file that every user can run: its own, or one in `dir` (linked, else copied). */
export async function reachableByAll(path: string, dir: string): Promise<string> {
  const { mode } = await stat(path);
  const own = (mode & 0o005) === 0o005;
  if (own && (await foldersAreOpen(dirname(path)))) return path;
  const target = join(dir, basename(path));
  // A link is no second copy of 100 MB, but only within a file system; and its mode is the file's own.
  const linked = own && (await link(path, target).then(returnTrue, returnFalse));
  if (!linked) {
    await copyFile(path, target, constants.COPYFILE_FICLONE);
    await chmod(target, 0o755);
  }
  return target;
}

const returnTrue = () => true;
const returnFalse = () => false;

async function foldersAreOpen(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  if ((mode & 0o001) === 0) return false;
  return folder === dirname(folder) || (await foldersAreOpen(dirname(folder)));
}
