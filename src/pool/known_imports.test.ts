/** Deno is told what a module imports, and does not parse it. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { rowsOf } from '../../test/support/deno_database.js';
import { become } from '../../test/support/deno_process.js';
import { findDeno } from './deno_binary.js';
import { IMPORTS_CACHE_FILE } from './deno_dir.js';
import { spawnDeno } from './process.js';
import { findTools } from './sandbox.js';
import { chooseSandbox } from './sandbox_choice.js';
import { sourceHash } from './source_hash.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearth-test-'));
  await chmod(dir, 0o755);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const rows = (denoDir: string, like: string) =>
  rowsOf(
    join(denoDir, IMPORTS_CACHE_FILE),
    `SELECT CAST(source_hash AS TEXT) AS hash, media_type AS type, module_info AS info FROM moduleinfocache
      WHERE specifier LIKE '${like}'`,
  );

it.each([
  ['a short text', 'export default 1;'],
  ['one of more than a round of the hash', `export default ${'1 + '.repeat(40)}1;\n`],
  ['one that is not ASCII', 'export default "ä€𝄞";'],
  ['a long one', `export default ${JSON.stringify('x'.repeat(300_000))};`],
])('Deno knows %s by the same hash', async (_, text) => {
  const file = join(dir, 'module.js');
  await writeFile(file, text);
  const denoDir = join(dir, 'deno');
  await mkdir(denoDir);
  await promisify(execFile)(findDeno(), ['run', '--no-config', '--no-lock', file], {
    env: { DENO_DIR: denoDir },
  });
  const half = Math.floor(text.length / 2);
  const parts = [text.slice(0, half), text.slice(half)].map((part) => Buffer.from(part));
  expect(await rows(denoDir, '%/module.js')).toEqual([{ hash: sourceHash(parts), type: 1, info: '{}' }]);
});

it('a module is not parsed for its imports in a process that was ready for it, and loads what it imports of Deno', async () => {
  const sandbox = await chooseSandbox({
    asked: 'permissions',
    tools: findTools(process.env.PATH),
    denoPath: findDeno(),
    denyNet: [],
    ipv6: false,
    runDir: dir,
    runnerPath: fileURLToPath(new URL('../../dist/pool/runner.js', import.meta.url)),
  });
  const spawned = await spawnDeno({
    id: 1,
    runDir: dir,
    sandbox,
    memoryMb: 128,
    net: true,
    readyTimeoutMs: 20_000,
    runnerCache: null,
  });
  try {
    const denoDir = join(dir, 'p1/deno');
    // It has put in a first row of no module, and with it all that is new to it.
    await expect.poll(() => rows(denoDir, ''), { timeout: 20_000 }).toHaveLength(1);
    const code = `import { basename } from 'node:path';
      const { default: os } = await import('node:os');
      const missing = await import('./missing.js').catch((error) => error.name);
      console.log(basename('/a/b'), typeof os.type, missing);
      export default () => 'ok';`;
    const lines = await become(spawned, code);
    await expect.poll(() => lines).toEqual(['b function TypeError']);
    // Had Deno parsed it, the row would name what the module imports.
    expect(await rows(denoDir, '%/code/main.js')).toEqual([
      { hash: sourceHash([Buffer.from(code)]), type: 1, info: '{}' },
    ]);
  } finally {
    spawned.kill('shutdown');
    await spawned.ended;
  }
});
