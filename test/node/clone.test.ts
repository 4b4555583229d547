/** A clone of the checkout, under a folder that only its owner can enter: it builds, starts and serves, for every user. */
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Credentials, root, until } from '../support/node.js';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
/** nobody, on every Linux. */
const ORDINARY = 65_534;

/** Who the clone is tried as: root hands over to an ordinary user, and an ordinary user can only be itself. */
const users = isRoot
  ? [
      { name: 'root', id: null },
      { name: 'an ordinary user', id: ORDINARY },
    ]
  : [{ name: 'an ordinary user', id: null }];

let dir: string;
let clone: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearth-test-')); // 0700
  clone = join(dir, 'hearth');
  if (existsSync(join(root, '.git'))) {
    await run('git', ['-c', 'safe.directory=*', 'clone', '--quiet', '--no-hardlinks', root, clone]);
  } else {
    const left = new Set(['node_modules', 'dist', '.hearth'].map((name) => join(root, name)));
    await cp(root, clone, { recursive: true, filter: (path) => !left.has(path) });
  }
  // What npm ci would install: linked where the file system allows it, as its half a gigabyte need not be there twice.
  const modules = [join(root, 'node_modules'), join(clone, 'node_modules')] as const;
  await run('cp', ['-al', `${modules[0]}/.`, modules[1]]).catch(async () => {
    await rm(modules[1], { recursive: true, force: true });
    await run('cp', ['-a', modules[0], modules[1]]);
  });
  await run(process.execPath, ['build.mjs'], { cwd: clone });
}, 120_000);

afterAll(async () => {
  await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

/** The checkout's own files change hands; those of node_modules may be links to the original's, and stay. */
async function handOver(id: number) {
  await rm(join(clone, '.hearth'), { recursive: true, force: true });
  const parts = (await readdir(clone))
    .filter((name) => name !== 'node_modules')
    .map((name) => join(clone, name));
  await run('chown', ['-R', `${id}:${id}`, ...parts]);
  await mkdir(join(dir, 'home'), { mode: 0o700 });
  await run('chown', [`${id}:${id}`, dir, clone, join(dir, 'home')]);
  await chmod(dir, 0o700);
}

describe('a clone in a private folder', () => {
  it.each(users)('serves its examples, started by $name with nothing set but free ports', async ({ id }) => {
    if (id !== null) await handOver(id);
    const command = [process.execPath, 'dist/main.js'];
    if (id !== null) command.unshift('setpriv', `--reuid=${id}`, `--regid=${id}`, '--clear-groups', '--');
    const [file = '', ...args] = command;
    const child = spawn(file, args, {
      cwd: clone,
      env: {
        PATH: process.env.PATH,
        HOME: id === null ? dir : join(dir, 'home'),
        HEARTH_PORT: '0',
        HEARTH_METRICS_PORT: '0',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += String(chunk);
    });
    child.stderr.on('data', (chunk) => {
      output += String(chunk);
    });
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    try {
      await until(
        () => output.includes('is ready') || child.exitCode !== null,
        40_000,
        () => output,
      );
      expect(output).toMatch(/Hearth \S+ is ready/);
      const path = join(clone, '.hearth/credentials.json');
      const credentials: Credentials = JSON.parse(await readFile(path, 'utf8'));
      expect((await stat(path)).uid).toBe(id ?? process.getuid?.());

      const headers = { authorization: `Bearer ${credentials.anon_key}` };
      const answer = await fetch(`${credentials.url}/functions/v1/hello`, { headers });
      expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('Hello')]);
      child.kill('SIGTERM');
      expect(await exited).toBe(0);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
