/** What one process found out about the runner, kept for those that come after it. */
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rowsOf } from '../../test/support/deno_database.js';
import { findDeno } from './deno_binary.js';
import { IMPORTS_CACHE_FILE, RUNNER_CACHE_FILES, V8_CACHE_FILE } from './deno_dir.js';
import { spawnDeno } from './process.js';
import { openRunnerCache } from './runner_cache.js';
import { findTools } from './sandbox.js';
import { chooseSandbox } from './sandbox_choice.js';

const database = (text: string) => Buffer.from(`SQLite format 3\0${text}`);
const databases = RUNNER_CACHE_FILES.map(database);

let dir: string;
let runnerPath: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearth-test-'));
  await chmod(dir, 0o755);
  runnerPath = join(dir, 'runner.js');
  await writeFile(runnerPath, 'one');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function open(given: Buffer[] | Error) {
  const errors: unknown[] = [];
  let made = 0;
  const cache = openRunnerCache({
    ...{ dir: join(dir, 'cache'), denoPath: process.execPath, runnerPath, sandboxKind: 'bwrap' },
    async make() {
      made++;
      if (given instanceof Error) throw given;
      return given;
    },
    onError: (error) => errors.push(error),
  });
  return cache.then(({ folder }) => ({ folder, errors, made: () => made }));
}

it('is made once, behind the start, and found by the next; another runner has another, and the old one goes', async () => {
  const first = await open(databases);
  expect(first.folder()).toBeNull();
  await expect.poll(first.folder).not.toBeNull();
  const folder = first.folder() ?? '';
  expect(RUNNER_CACHE_FILES.map((name) => readFileSync(join(folder, name)))).toEqual(databases);

  const again = await open(new Error('made already'));
  expect([again.folder(), again.made()]).toEqual([folder, 0]);

  await writeFile(runnerPath, 'two');
  const other = await open(databases);
  await expect.poll(other.folder).not.toBeNull();
  expect(await readdir(join(dir, 'cache'))).toHaveLength(1);
  expect(existsSync(folder)).toBe(false);
});

it.each([
  ['one that is missing', databases.slice(1)],
  ['one that is no database', databases.with(1, Buffer.from('something else'))],
  ['one that is too large', databases.with(0, database('x'.repeat(16 * 1024 * 1024)))],
  ['a process that ended', new Error('ended')],
])('of %s nothing is kept, and that is reported', async (_, given) => {
  const { folder, errors } = await open(given);
  await expect.poll(() => errors).toHaveLength(1);
  expect(folder()).toBeNull();
  expect(existsSync(join(dir, 'cache'))).toBe(false);
});

const tools = findTools(process.env.PATH);

describe.runIf(process.platform === 'linux').each(['bwrap', 'permissions'] as const)('with %s', (kind) => {
  it.skipIf(kind === 'bwrap' && tools.bwrap === null)(
    'the databases know the runner, and a process starts with copies of them, or without them',
    async () => {
      const sandbox = await chooseSandbox({
        ...{ asked: kind, tools, denoPath: findDeno(), denyNet: [], ipv6: false, runDir: dir },
        runnerPath: fileURLToPath(new URL('../../dist/pool/runner.js', import.meta.url)),
      });
      const options = { runDir: dir, sandbox, memoryMb: 128, net: true, readyTimeoutMs: 20_000 };
      const donor = await spawnDeno({ ...options, id: 1, runnerCache: null });
      const found = await donor.ownCache();
      donor.kill('shutdown');
      // V8's cache and the imports; of CommonJS there is nothing.
      expect(found.map((bytes) => bytes.includes('/runner.js'))).toEqual([true, true, false]);
      for (const [index, name] of RUNNER_CACHE_FILES.entries())
        await writeFile(join(dir, name), found[index] ?? '');

      // Of the module that each process is to compile while it waits, they know the imports alone.
      const known = (file: string, table: string) =>
        rowsOf(join(dir, file), `SELECT specifier FROM ${table} WHERE specifier LIKE '%/rehearsal.js'`);
      expect(await known(IMPORTS_CACHE_FILE, 'moduleinfocache')).toHaveLength(1);
      expect(await known(V8_CACHE_FILE, 'codecache')).toEqual([]);

      for (const [id, runnerCache] of [[2, dir] as const, [3, join(dir, 'missing')] as const]) {
        const process = await spawnDeno({ ...options, id, runnerCache });
        expect(await process.ping(20_000)).toBe(true);
        if (kind === 'permissions' && id === 2) {
          const copy = readFileSync(join(dir, 'p2/deno', RUNNER_CACHE_FILES[0]));
          expect(copy.length).toBeGreaterThanOrEqual(found[0]?.length ?? 0);
        }
        process.kill('shutdown');
        await process.ended;
      }
    },
  );
});
