/** The embedded server's data folder and its superuser's password: made once, whole or not at all. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, constants, link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf, StartError } from '../errors.js';
import { isAlive, PASSWORD_FILE } from './embedded_socket.js';
import { giveTo, type RunAs } from './embedded_user.js';

export const SUPERUSER = 'hearth';

/** initdb works in `<data folder>.init-<pid>-<random>`, so that a kill leaves nothing that looks like a database. */
const UNFINISHED = /\.init-(\d+)(-\w+)?$/;

/** Makes the folder that all the node's files lie in. @throws StartError when it cannot be made or written. */
export async function makeDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await access(dataDir, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new StartError(`the data directory ${dataDir} cannot be written: ${messageOf(cause)}`, { cause });
  }
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The password in `<dataDir>/postgres-password` (mode 0600), made if neither it nor a database exists. */
export async function superuserPassword(dataDir: string, data: string): Promise<string> {
  const path = join(dataDir, 'postgres-password');
  if (!(await exists(path))) {
    if (await exists(data)) {
      throw new StartError(`${path} is missing, and the database in ${data} cannot be opened without it`);
    }
    const draft = `${path}.init-${process.pid}-${randomBytes(4).toString('hex')}`;
    try {
      await writeFile(draft, randomBytes(24).toString('base64url'), { mode: 0o600 });
      await link(draft, path);
    } catch (cause) {
      // Another node that starts at the same moment may have been first: then its password counts.
      if (!(await exists(path)))
        throw new StartError(`${path} cannot be written: ${messageOf(cause)}`, { cause });
    } finally {
      await rm(draft, { force: true });
    }
  }
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new StartError(`${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Runs initdb and moves its work to `data` when it is whole.
 *
 * @param scratch a private folder for the file that hands the password over.
 * @throws StartError with what initdb said.
 */
export async function createData(options: {
  initdb: string;
  user: RunAs;
  data: string;
  scratch: string;
  password: string;
}): Promise<void> {
  const { initdb, user, data, scratch, password } = options;
  const draft = `${data}.init-${process.pid}-${randomBytes(4).toString('hex')}`;
  const passwordFile = join(scratch, PASSWORD_FILE);
  const [file = '', ...args] = [
    ...user.prefix,
    initdb,
    `--pgdata=${draft}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // PostgreSQL's own C.UTF-8 sorts the same on every system and asks for no locale to be installed.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-sync',
    '--no-instructions',
  ];
  try {
    await mkdir(draft, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600 });
    for (const path of [draft, passwordFile]) await giveTo(user, path);
    await promisify(execFile)(file, args, { ...user.ids, cwd: '/' });
    await rename(draft, data);
  } catch (cause) {
    // Another node that starts at the same moment may have been first; the server's own lock decides between the two.
    if (await exists(data)) return;
    throw new StartError(`the database in ${data} cannot be created: ${lastLine(cause)}`, { cause });
  } finally {
    await rm(passwordFile, { force: true });
    await rm(draft, { recursive: true, force: true });
  }
}

/** Removes what an initdb left that was killed together with its node. */
export async function removeUnfinished(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    const owner = UNFINISHED.exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    await rm(join(dataDir, name), { recursive: true, force: true });
  }
}

function lastLine(thrown: unknown): string {
  const said = thrown instanceof Error && 'stderr' in thrown ? String(thrown.stderr) : '';
  const lines = said.split('\n').filter((line) => line.includes('error') || line.includes('FATAL'));
  return lines.at(-1)?.trim() ?? messageOf(thrown);
}
