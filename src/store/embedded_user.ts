/** Which user runs the embedded PostgreSQL, and by which commands: it refuses to run as root and must not outlive us. */
import { execFile } from 'node:child_process';
import { chmod, chown, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { StartError } from '../errors.js';

export interface RunAs {
  /** What comes before the program: `unshare …`, `setpriv …`, or nothing. */
  prefix: string[];
  /** For spawn(): set where root hands over to another user. */
  ids: { uid: number; gid: number } | undefined;
  /** Whether the kernel ends the program with us (`PR_SET_PDEATHSIG`); where not, a watcher has to. */
  leashed: boolean;
}

/**
 * Inside a user namespace of its own a process of root is user 1 to itself, so that PostgreSQL runs, and root to the file
 * system, so that it gets through folders that only root may enter. setpriv comes second: changing
 * credentials clears the signal that it asks for.
 */
const UNSHARE = ['unshare', '--user', '--map-user=1', '--map-group=1', '--'];
/** SIGINT is PostgreSQL's fast shutdown. */
const SETPRIV = ['setpriv', '--pdeathsig', 'INT', '--'];

/**
 * Tries the ways from the best to the last one.
 *
 * @param program any program of the server's that knows `--version`.
 * @param dataDir the folder that the server's own folder lies in.
 * @param existing the server's own folder, where there is one already: it stays with the user that it belongs to.
 * @throws StartError when root can neither make a user namespace nor hand over to another user.
 */
export async function chooseUser(program: string, dataDir: string, existing: string | null): Promise<RunAs> {
  if (process.getuid?.() !== 0) return leash({ prefix: [], ids: undefined, leashed: false }, program);

  const owner = existing === null ? null : await stat(existing);
  if (owner === null || owner.uid === 0) {
    const namespaced: RunAs = { prefix: UNSHARE, ids: undefined, leashed: false };
    const leashed = withLeash(namespaced);
    if (await works(leashed, [program, '--version'])) return leashed;
    if (await works(namespaced, [program, '--version'])) return namespaced;
  }
  const ids =
    owner !== null && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : await unprivilegedUser();
  if (ids !== null) {
    const handedOver: RunAs = { prefix: [], ids, leashed: false };
    await letThrough(dataDir);
    const reaches = ['sh', '-c', 'cd "$1" && exec "$2" --version', 'sh', dataDir, program];
    if (await works(handedOver, reaches)) {
      if (existing !== null && owner?.uid === 0) await giveWhole(existing, ids);
      return leash(handedOver, program);
    }
  }
  throw new StartError(
    `the embedded PostgreSQL does not run as root, and no other user can reach ${dataDir} and ${program}: ` +
      'set DATABASE_URL, or run Hearth as an ordinary user',
  );
}

/** Gives a file or folder to the user that runs the server, where that is not ourselves. */
export async function giveTo(user: RunAs, path: string): Promise<void> {
  if (user.ids !== undefined) await chown(path, user.ids.uid, user.ids.gid);
}

/** The server is not running yet, and it wants to own all of its folder. */
async function giveWhole(folder: string, ids: { uid: number; gid: number }): Promise<void> {
  await promisify(execFile)('chown', ['-R', `${ids.uid}:${ids.gid}`, folder]);
}

async function leash(user: RunAs, program: string): Promise<RunAs> {
  // Only util-linux's setpriv knows the option: BusyBox's and none at all are the same to us.
  const leashed = withLeash(user);
  return (await works(leashed, [program, '--version'])) ? leashed : user;
}

function withLeash(user: RunAs): RunAs {
  return { ...user, prefix: [...user.prefix, ...SETPRIV], leashed: true };
}

function works(user: RunAs, command: string[]): Promise<boolean> {
  const [file = '', ...rest] = [...user.prefix, ...command];
  return new Promise((resolve) => {
    execFile(file, rest, { ...user.ids, cwd: '/', timeout: 5000 }, (error) => resolve(error === null));
  });
}

/** The other user has to pass through, not to read: the files in it stay 0600. */
async function letThrough(dataDir: string): Promise<void> {
  const { mode } = await stat(dataDir);
  if ((mode & 0o001) === 0) await chmod(dataDir, (mode & 0o7777) | 0o001);
}

async function unprivilegedUser(): Promise<{ uid: number; gid: number } | null> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  for (const wanted of ['postgres', 'nobody']) {
    for (const line of passwd.split('\n')) {
      const [name, , uid, gid] = line.split(':');
      if (name === wanted && Number(uid) > 0 && Number(gid) > 0)
        return { uid: Number(uid), gid: Number(gid) };
    }
  }
  return null;
}
