import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run, until } from '../../test/support/postgres.js';
import { StartError } from '../errors.js';
import { startEmbedded } from './embedded.js';
import { isAlive } from './embedded_socket.js';

let root: string;
const nodes: string[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hearth-embedded-'));
  await chmod(root, 0o700);
});

afterAll(async () => {
  for (const folder of [root, ...nodes]) await rm(folder, { recursive: true, force: true });
});

describe('the embedded PostgreSQL', () => {
  it('creates its database under a folder that only its owner can enter, and keeps it over a restart', async () => {
    const dataDir = join(root, 'kept');
    const progress: string[] = [];
    const first = await startEmbedded({ dataDir, onProgress: (what) => progress.push(what) });
    await run(first.connection, 'create table kept as select 42 as answer');
    const socketFolder = first.connection.host;
    expect((await stat(socketFolder)).mode & 0o777).toBe(0o700);
    expect((await stat(join(dataDir, 'postgres-password'))).mode & 0o777).toBe(0o600);
    await Promise.all([first.stop(), first.stop()]);
    await expect(stat(socketFolder)).rejects.toThrow('ENOENT');
    expect(progress).toEqual(['creating the database']);

    const second = await startEmbedded({ dataDir, onProgress: (what) => progress.push(what) });
    expect(await run(second.connection, 'select answer from kept')).toEqual([{ answer: 42 }]);
    expect(await run(second.connection, 'show listen_addresses')).toEqual([{ listen_addresses: '' }]);
    await second.stop();
    expect(progress).toEqual(['creating the database']);
    expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'postgres-password']);
  });

  it('refuses a wrong password', async () => {
    const server = await startEmbedded({ dataDir: join(root, 'kept') });
    try {
      await expect(run({ ...server.connection, password: 'wrong' }, 'select 1')).rejects.toThrow(
        'password authentication failed',
      );
    } finally {
      await server.stop();
    }
  });

  it('says at once that another node uses the data directory', async () => {
    const dataDir = join(root, 'kept');
    const server = await startEmbedded({ dataDir });
    try {
      const started = Date.now();
      await expect(startEmbedded({ dataDir })).rejects.toThrow(
        new StartError(`${dataDir}/postgres is already in use by process ${process.pid}`),
      );
      expect(Date.now() - started).toBeLessThan(3000);
    } finally {
      await server.stop();
    }
  });

  it('lets one of two nodes win that start on an empty directory at the same moment', async () => {
    const dataDir = join(root, 'raced');
    const both = await Promise.allSettled([startEmbedded({ dataDir }), startEmbedded({ dataDir })]);
    const won = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const lost = both.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    await Promise.all(won.map((server) => server.stop()));
    expect(won).toHaveLength(1);
    expect(lost).toEqual([expect.any(StartError)]);
  });

  it('starts over after an initdb that was killed, and tidies up after dead nodes', async () => {
    const dataDir = join(root, 'killed');
    const dead = await deadProcess();
    const unfinished = join(dataDir, `postgres.init-${dead}`);
    const socketFolder = join(tmpdir(), `hearth-pg-${dead}-abcdef`);
    await mkdir(unfinished, { recursive: true });
    await writeFile(join(unfinished, 'PG_VERSION'), '18\n');
    await mkdir(socketFolder);
    const server = await startEmbedded({ dataDir });
    await server.stop();
    expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'postgres-password']);
    await expect(stat(socketFolder)).rejects.toThrow('ENOENT');
  });

  it('is not kept from starting by a number that another process has now', async () => {
    const dataDir = join(root, 'kept');
    await writeFile(
      join(dataDir, 'postgres', 'postmaster.pid'),
      `${process.pid}\n${dataDir}/postgres\n1\n5432\n/tmp/gone\n\n0 0\nready\n`,
    );
    const server = await startEmbedded({ dataDir });
    await server.stop();
  });

  it('says what is wrong with a data directory that cannot be', async () => {
    await writeFile(join(root, 'file'), '');
    await expect(startEmbedded({ dataDir: join(root, 'file', 'data') })).rejects.toThrow(StartError);
  });

  it('says that the password is missing', async () => {
    const dataDir = join(root, 'no-password');
    await mkdir(join(dataDir, 'postgres'), { recursive: true });
    await expect(startEmbedded({ dataDir })).rejects.toThrow('postgres-password is missing');
  });

  it.each([
    ['by the kernel', ['unshare', 'setpriv', 'sh']],
    ['by a shell that watches, where there is no setpriv', ['unshare', 'sh']],
  ])('ends with its node, however that ends: %s', async (how, programs) => {
    const dataDir = join(root, how.replaceAll(/\W/g, '-'));
    const node = await startNode(dataDir, programs);
    expect(node.said).toBe('started');
    const pid = Number((await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);
    expect(isAlive(pid)).toBe(true);
    node.child.kill('SIGKILL');
    const next = await startEmbedded({ dataDir });
    await until("the killed node's server to be gone", () => !isAlive(pid));
    await next.stop();
    expect(
      (await readdir(tmpdir())).filter((name) => name.startsWith(`hearth-pg-${node.child.pid}-`)),
    ).toEqual([]);
  });

  describe.runIf(process.getuid?.() === 0)('as root, where there are no user namespaces', () => {
    it('hands over to another user that can reach the folder', async () => {
      const open = await mkdtemp(join(tmpdir(), 'hearth-embedded-'));
      await chmod(open, 0o755);
      const dataDir = join(open, 'data');
      try {
        const node = await startNode(dataDir, ['setpriv', 'sh']);
        expect(node.said).toBe('started');
        expect((await stat(join(dataDir, 'postgres'))).uid).toBeGreaterThan(0);
        node.child.kill('SIGKILL');
        // Also with namespaces the folder stays with the user that it belongs to.
        const next = await startEmbedded({ dataDir });
        expect(await run(next.connection, 'select 1 as one')).toEqual([{ one: 1 }]);
        await next.stop();
      } finally {
        await rm(open, { recursive: true, force: true });
      }
    });

    it('says what to do when no other user can', async () => {
      const node = await startNode(join(root, 'closed'), ['setpriv', 'sh']);
      expect(node.said).toMatch(/^StartError: .*set DATABASE_URL, or run Hearth as an ordinary user$/);
    });
  });
});

/** A process of its own that starts the server, with only the named programs on its PATH. */
async function startNode(
  dataDir: string,
  programs: string[],
): Promise<{ child: ChildProcess; said: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-embedded-'));
  nodes.push(folder);
  await chmod(folder, 0o755);
  await symlink(new URL('../../node_modules', import.meta.url).pathname, join(folder, 'node_modules'));
  for (const program of programs) {
    const path = ['/usr/bin', '/bin'].map((bin) => join(bin, program)).find((path) => existsSync(path));
    if (path !== undefined) await symlink(path, join(folder, program));
  }
  const script = join(folder, 'node.mjs');
  await build({
    stdin: {
      contents: `
        import { startEmbedded } from './embedded.js';
        try {
          await startEmbedded({ dataDir: ${JSON.stringify(dataDir)} });
          console.log('started');
          setInterval(() => {}, 1000);
        } catch (error) {
          console.log(String(error));
        }`,
      resolveDir: new URL('.', import.meta.url).pathname,
    },
    outfile: script,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
  });
  const child = spawn(process.execPath, [script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: folder },
  });
  const [said] = await once(child.stdout, 'data');
  return { child, said: String(said).trim() };
}

async function deadProcess(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid ?? 0;
}
