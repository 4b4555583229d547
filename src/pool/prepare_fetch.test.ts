/** Imports at deploy: what is fetched, what it is held to, and what is said of what cannot be had. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startHttpsHost } from '../../test/support/https_host.js';
import { until } from '../../test/support/node.js';
import { type Registry, startRegistry } from '../../test/support/registry.js';
import { HearthError } from '../errors.js';
import { findDeno, findDenoEsbuild } from './deno_binary.js';
import { createPrepare, type FunctionSource, type Prepare, type PrepareOptions } from './prepare.js';
import { findTools, type Sandbox } from './sandbox.js';
import { makeSandboxRoot } from './sandbox_root.js';

const run = promisify(execFile);
let dir: string;
let registry: Registry;
let sandbox: Sandbox | null = null;
let caches = 0;
const esbuildPath = findDenoEsbuild();

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearth-imports-'));
  registry = await startRegistry();
  sandbox = await walls();
});

afterAll(async () => {
  await registry.stop();
  await rm(dir, { recursive: true, force: true });
});

/** With a cache of its own, unless told otherwise. */
function make(change: Partial<PrepareOptions> = {}): { prepare: Prepare; cacheDir: string } {
  const cacheDir = change.cacheDir ?? join(dir, `cache-${++caches}`);
  const env = { PATH: process.env.PATH, HOME: dir, ...registry.env };
  return {
    cacheDir,
    prepare: createPrepare({ denoPath: findDeno(), cacheDir, env, sandbox, esbuildPath, ...change }),
  };
}

async function walls(): Promise<Sandbox | null> {
  const tools = findTools(process.env.PATH);
  if (tools.bwrap === null) return null;
  const root = join(dir, 'root');
  const runnerPath = fileURLToPath(import.meta.url);
  await makeSandboxRoot(root, { denoPath: findDeno(), runnerPath, prlimit: tools.prlimit });
  const rest = { reason: '', filters: null, denyNet: [], users: null };
  return { kind: 'bwrap', tools, denoPath: findDeno(), runnerPath, root, ...rest };
}

const text = (code: string): FunctionSource => ({ code, name: 'hello' });
const importing = (specifier: string) => text(`import it from "${specifier}";\nexport default () => it;\n`);

async function failure(prepare: Prepare, source: FunctionSource): Promise<HearthError> {
  const error = await prepare(source).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof HearthError)) throw new Error(`expected a HearthError, got ${String(error)}`);
  expect(error.message).not.toContain(dir);
  return error;
}

describe('imports', () => {
  it('become part of the module, and a record of what they came to', async () => {
    registry.npm(
      'alpha',
      '1.4.0',
      { 'index.js': 'module.exports = "alpha with " + require("beta")' },
      {
        dependencies: { beta: '^1.0.0' },
      },
    );
    registry.npm('beta', '1.1.0', { 'index.js': 'module.exports = "beta 1.1"' });
    registry.jsr('@s/gamma', '0.2.0', {
      'mod.ts': 'import type { T } from "./types.ts";\nimport { x } from "./x.ts";\nexport const g: T = x;',
      'types.ts': 'export type T = string;',
      'x.ts': 'export const x = "gamma of jsr";',
    });
    const from = registry.requests.length;
    const { prepare, cacheDir } = make();
    const { bundle, imports } = await prepare(
      text(
        'import alpha from "npm:alpha@1";\nimport { g } from "jsr:@s/gamma@0.2";\nexport default () => [alpha, g];',
      ),
    );
    for (const part of ['alpha with ', 'beta 1.1', 'gamma of jsr']) expect(bundle).toContain(part);
    expect(imports?.asked).toEqual(['jsr:@s/gamma@0.2', 'npm:alpha@1']);
    expect(imports?.resolved).toEqual([
      { specifier: 'jsr:@s/gamma@0.2', resolved: 'jsr:@s/gamma@0.2.0', integrity: expect.any(String) },
      { specifier: 'npm:alpha@1', resolved: 'npm:alpha@1.4.0', integrity: expect.stringMatching(/^sha512-/) },
      { specifier: null, resolved: 'npm:beta@1.1.0', integrity: expect.stringMatching(/^sha512-/) },
    ]);
    expect(imports?.lock).not.toContain(registry.url);
    // What runs at deploy is what was installed with Hearth; and what was fetched is fetched once.
    expect(registry.requests.slice(from).join()).not.toContain('esbuild');
    const asked = registry.requests.length;
    await prepare(importing('npm:alpha@1'));
    expect(registry.requests.slice(asked)).toEqual([]);
    expect(await readdir(join(cacheDir, 'bundles'))).toEqual([]);
  });

  it("leave the user's own lines in stacks and nothing of this machine in the module", async () => {
    registry.npm('plain', '1.0.0', { 'index.js': 'module.exports = 1' });
    const { prepare, cacheDir } = make();
    registry.npm('builtin', '1.0.0', { 'index.js': 'module.exports = require("node:os").EOL' });
    for (const name of ['plain', 'builtin']) {
      const thrower =
        `import it from "npm:${name}";\ninterface A {\n  a: number;\n}\n` +
        'if (it) throw new Error("here");\nexport default it;';
      const file = join(dir, `${name}.js`);
      await writeFile(file, (await prepare(text(thrower))).bundle);
      const env = { PATH: process.env.PATH, HOME: dir, NO_COLOR: '1' };
      const stack = await run(findDeno(), ['run', '--no-config', '--no-lock', file], { env }).catch(String);
      expect(stack).toMatch(/here[\s\S]*\/hello\.ts:5:\d+/);
    }
    const { bundle } = await prepare(
      text(
        'import one from "npm:plain";\ninterface A {\n  a: number;\n}\nexport default (a: A) => [a, one];',
      ),
    );
    const map: { sources: string[] } = JSON.parse(
      Buffer.from(bundle.slice(bundle.lastIndexOf('base64,') + 7), 'base64').toString(),
    );
    expect(map.sources).toContain('hello.ts');
    expect(JSON.stringify(map) + bundle).not.toContain(cacheDir);
  });

  it('run no scripts of packages', async () => {
    const mark = join(dir, 'ran');
    registry.npm(
      'scripted',
      '1.0.0',
      { 'index.js': 'module.exports = 1' },
      {
        hasInstallScript: true,
        scripts: { preinstall: `touch ${mark}`, install: `touch ${mark}`, postinstall: `touch ${mark}` },
      },
    );
    for (const change of [{}, { sandbox: null }]) await make(change).prepare(importing('npm:scripted'));
    expect(await readdir(dir)).not.toContain('ran');
  });

  it("bring no file of the server's into the module", async () => {
    const file = join(dir, 'credentials.json');
    await writeFile(file, '{"admin_key":"of the server"}');
    registry.npm('thief', '1.0.0', { 'index.js': `module.exports = require(${JSON.stringify(file)})` });
    registry.npm(
      'reader',
      '1.0.0',
      {
        'index.mjs':
          'import text from "../../../../bundles/own/deno.lock" with { type: "text" };\nexport default text;',
      },
      { main: 'index.mjs', type: 'module' },
    );
    await writeFile(join(dir, '.npmrc'), `//127.0.0.1/:_authToken=of-the-server\n`);
    registry.npm(
      'rc',
      '1.0.0',
      {
        'index.mjs': `import text from "${'../'.repeat(4)}bundles/own/.npmrc" with { type: "text" };\nexport default text;`,
      },
      { main: 'index.mjs', type: 'module' },
    );
    const refused = async (name: string, change: Partial<PrepareOptions>) => {
      const error = await failure(make(change).prepare, importing(`npm:${name}`));
      expect(error.code).toBe('INVALID_FUNCTION');
      return error.message;
    };
    // Behind the walls there is no such file; where there are none, what came of it is looked through.
    const unwalled = sandbox === null;
    expect(await refused('thief', {})).toMatch(
      unwalled ? /not one of a package/ : /thief@1\.0\.0 cannot be bundled/,
    );
    expect(await refused('thief', { sandbox: null })).toMatch(/not one of a package \(credentials\.json\)/);
    for (const name of ['reader', 'rc'])
      expect(await refused(name, {})).toMatch(unwalled ? /cannot be bundled/ : /not one of a package/);
    await rm(join(dir, '.npmrc'));
  });
});

describe('a version of imports on record', () => {
  it('is what the same code is deployed with again, whatever has been published since', async () => {
    registry.npm('moving', '1.0.0', { 'index.js': 'module.exports = "the first"' });
    const { imports: before } = await make().prepare(importing('npm:moving@1'));
    registry.npm('moving', '1.1.0', { 'index.js': 'module.exports = "the second"' });
    registry.npm('added', '1.0.0', { 'index.js': 'module.exports = "added"' });
    const again = await make().prepare({ ...importing('npm:moving@1'), before });
    expect(again.bundle).toContain('the first');
    expect(again.imports).toEqual(before);

    const more = 'import it from "npm:moving@1";\nimport b from "npm:added";\nexport default () => [it, b];';
    const grown = await make().prepare({ ...text(more), before });
    expect(grown.bundle).toContain('the first');
    expect(grown.imports?.resolved.map(({ resolved }) => resolved)).toEqual([
      'npm:added@1.0.0',
      'npm:moving@1.0.0',
    ]);
    const shrunk = await make().prepare({ ...importing('npm:added'), before: grown.imports });
    expect(shrunk.imports?.resolved.map(({ resolved }) => resolved)).toEqual(['npm:added@1.0.0']);
    expect(shrunk.imports?.lock).not.toContain('moving');

    expect((await make().prepare(importing('npm:moving@1'))).bundle).toContain('the second');
  });

  it('refuses what was published again under the same version', async () => {
    registry.npm(
      'top',
      '1.0.0',
      { 'index.js': 'module.exports = require("deep")' },
      { dependencies: { deep: '1' } },
    );
    registry.npm('deep', '1.0.0', { 'index.js': 'module.exports = "honest"' });
    registry.jsr('@s/swapped', '1.0.0', { 'mod.ts': 'export default "honest";' });
    const npm = await make().prepare(importing('npm:top'));
    const jsr = await make().prepare(importing('jsr:@s/swapped@1'));
    registry.npm('deep', '1.0.0', { 'index.js': 'module.exports = "evil"' });
    registry.jsr('@s/swapped', '1.0.0', { 'mod.ts': 'export default "evil";' });

    const error = await failure(make().prepare, { ...importing('npm:top'), before: npm.imports });
    expect(error.code).toBe('INVALID_FUNCTION');
    expect(error.message).toContain(
      'Cannot load "npm:top": the checksum of deep@1.0.0 is not what this function',
    );
    expect(error.details?.[0]).toMatchObject({ line: 1, column: 16 });
    const other = await failure(make().prepare, { ...importing('jsr:@s/swapped@1'), before: jsr.imports });
    expect(other.message).toContain(
      'the checksum of @s/swapped@1.0.0 is not what this function was built with',
    );
  });
});

describe('a deploy is refused', () => {
  it.each<[string, () => void, string, string]>([
    [
      'a tarball that is not the one the registry lists',
      () => registry.npmTampered('tampered', '1.0.0', { 'index.js': 'module.exports = 1' }),
      'npm:tampered',
      'the checksum of tampered@1.0.0 is not what the registry lists',
    ],
    [
      'a module of jsr that is not the one its list has',
      () => {
        registry.jsr('@s/tampered', '1.0.0', { 'mod.ts': 'export default 1;' });
        registry.on('/@s/tampered/1.0.0/mod.ts', (_, response) => response.end('export default 2;'));
      },
      'jsr:@s/tampered',
      'the checksum of @s/tampered@1.0.0 is not what the registry lists',
    ],
    [
      'a version that is missing',
      () => registry.npm('here', '1.0.0', {}),
      'npm:here@99',
      'no such package or version',
    ],
    ['a package that is missing', () => {}, 'npm:@nobody/nothing@1', 'no such package or version'],
    ['a package of jsr that is missing', () => {}, 'jsr:@s/nothing', 'no such package or version'],
    [
      'a file that is missing',
      () => registry.npm('files', '1.0.0', { 'index.js': '' }),
      'npm:files@1/nope.js',
      'the package has no such file',
    ],
    ['a host that is not allowed', () => {}, 'https://127.0.0.2/x.ts', 'modules are fetched from jsr.io'],
    [
      'a page of HTML in place of a package',
      () => registry.on('/page', (_, response) => response.end('<html>Sign in</html>')),
      'npm:page',
      'what the registry answers is no package',
    ],
    [
      'redirects without end',
      () => registry.on('/round', (_, response) => response.writeHead(302, { location: '/round' }).end()),
      'npm:round',
      'what the registry answers is no package',
    ],
    [
      'a dependency on a git repository',
      () =>
        registry.npm(
          'git',
          '1.0.0',
          { 'index.js': '' },
          { dependencies: { inner: 'git+https://127.0.0.1/x.git' } },
        ),
      'npm:git',
      'git@1.0.0 depends on "inner" by an address',
    ],
    [
      'a dependency on a folder',
      () =>
        registry.npm(
          'folder',
          '1.0.0',
          { 'index.js': 'require("inner")' },
          { dependencies: { inner: 'file:../inner' } },
        ),
      'npm:folder',
      'folder@1.0.0 needs "inner", which is not among its dependencies from the registry',
    ],
    [
      'a package that lacks a file of its own',
      () => registry.npm('torn', '1.0.0', { 'index.js': 'require("./nope.js")' }),
      'npm:torn',
      'torn@1.0.0 cannot be bundled: a file that it asks for is not there',
    ],
  ])('for %s, with the import and its place', async (_, publish, specifier, message) => {
    publish();
    const error = await failure(
      make().prepare,
      text(`\n  import it from "${specifier}";\nexport default it;`),
    );
    expect(error.code).toBe('INVALID_FUNCTION');
    expect(error.message).toContain(`Line 2, column 18: Cannot load "${specifier}": `);
    expect(error.message).toContain(message);
  });

  it('for more than fits, with the largest import by name', async () => {
    registry.npm('small', '1.0.0', { 'index.js': `module.exports = "${'s'.repeat(1_000)}"` });
    registry.npm('large', '2.0.0', { 'index.js': `module.exports = "${'l'.repeat(100_000)}"` });
    const source = text('import a from "npm:small";\nimport b from "npm:large";\nexport default [a, b];');
    for (const maxBundleBytes of [20_000, 90_000]) {
      const error = await failure(make({ maxBundleBytes }).prepare, source);
      expect(error.code).toBe('TOO_LARGE');
      expect(error.message).toMatch(/large@2\.0\.0, has 100\d{3} alone/);
    }
    expect((await make({ maxBundleBytes: 150_000 }).prepare(source)).bundle.length).toBeGreaterThan(100_000);
  });

  it('when fetching takes too long, or the registry cannot be reached', async () => {
    registry.on('/slow', () => {}); // never answered
    const late = await failure(make({ timeoutMs: 1_500 }).prepare, importing('npm:slow'));
    expect([late.code, late.message]).toEqual([
      'INVALID_FUNCTION',
      'The imports could not be fetched within 2 seconds: npm:slow',
    ]);
    const away = await startRegistry();
    await away.stop();
    const env = { PATH: process.env.PATH, HOME: dir, ...away.env };
    for (const specifier of ['npm:gone', 'jsr:@s/gone'])
      expect((await failure(make({ env }).prepare, importing(specifier))).code).toBe('UNAVAILABLE');
  });

  it('when it fetches more than it may', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => [`f${n}.js`, 'x'.repeat(1_000_000)]),
    );
    registry.npm('huge', '1.0.0', { 'index.js': '', ...files });
    registry.npm('waits', '1.0.0', { 'index.js': '' });
    registry.on('/waits/-/waits-1.0.0.tgz', () => {}); // never answered: there is time to look
    const source = text('import "npm:huge";\nimport "npm:waits";\nexport default 1;');
    const error = await failure(make({ maxFetchBytes: 20_000_000, timeoutMs: 30_000 }).prepare, source);
    expect([error.code, error.message]).toEqual([
      'TOO_LARGE',
      expect.stringContaining('more than 20000000 bytes'),
    ]);
  });
});

it('an https import is locked by the text of each of its modules', async () => {
  const host = await startHttpsHost('esm.sh');
  try {
    const DENO_CERT = join(dir, 'host.pem');
    await writeFile(DENO_CERT, host.certificate);
    host.modules.set('/delta.ts', 'import { e } from "./epsilon.ts";\nexport const delta: string = e + "!";');
    host.modules.set('/epsilon.ts', 'export const e = "of epsilon";');
    const env = { PATH: process.env.PATH, HOME: dir, HTTPS_PROXY: host.proxy, DENO_CERT };
    const url = 'https://esm.sh/delta.ts';
    const source = text(`import { delta } from "${url}";\nexport default () => delta;`);
    const { bundle, imports } = await make({ env }).prepare(source);
    expect(bundle).toContain('of epsilon');
    expect(imports?.resolved).toEqual([
      { specifier: url, resolved: url, integrity: expect.stringMatching(/^[0-9a-f]{64}$/) },
      { specifier: null, resolved: 'https://esm.sh/epsilon.ts', integrity: expect.any(String) },
    ]);
    const again = await make({ env }).prepare({ ...source, before: imports });
    expect(again.imports).toEqual(imports);

    host.modules.set('/epsilon.ts', 'export const e = "of somebody else";');
    const changed = await failure(make({ env }).prepare, { ...source, before: imports });
    expect(changed.message).toContain(
      `Cannot load "${url}": the checksum of https://esm.sh/epsilon.ts is not what this function was built with`,
    );
    host.modules.delete('/epsilon.ts');
    const missing = await failure(make({ env }).prepare, source);
    expect([missing.code, missing.message]).toEqual([
      'INVALID_FUNCTION',
      expect.stringContaining(`Cannot load "${url}"`),
    ]);
    host.modules.set('/epsilon.ts', 'export { e } from "file:///etc/hostname";');
    expect((await failure(make({ env }).prepare, source)).message).toContain(`Cannot load "${url}"`);
    // Nobody else's certificate is believed.
    const other = await startHttpsHost('esm.sh');
    const wrong = await failure(make({ env: { ...env, HTTPS_PROXY: other.proxy } }).prepare, source);
    expect(wrong.message).toContain(`Cannot load "${url}"`);
    await other.stop();
  } finally {
    await host.stop();
  }
});

describe('what was fetched', () => {
  it('is let go once it is more than may be kept, and fetched again when it is needed', async () => {
    registry.npm('kept', '1.0.0', { 'index.js': `module.exports = "${'k'.repeat(200_000)}"` });
    const { prepare, cacheDir } = make({ maxCacheBytes: 12_000_000 });
    await prepare(importing('npm:kept'));
    expect(await readdir(cacheDir)).toContain('npm');
    const small = make({ cacheDir, maxCacheBytes: 100_000 });
    const { imports } = await small.prepare(importing('npm:kept'));
    await until(async () => !(await readdir(cacheDir)).includes('npm'));
    expect((await readdir(cacheDir)).sort()).toEqual(['bundles', 'dl']);
    const asked = registry.requests.length;
    expect((await small.prepare({ ...importing('npm:kept'), before: imports })).imports).toEqual(imports);
    expect(registry.requests.slice(asked)).toContain('/kept/-/kept-1.0.0.tgz');
  });

  it('is not bundled with a program that somebody else put there', async () => {
    const { prepare, cacheDir } = make({ sandbox: null });
    const folder = join(cacheDir, 'dl/esbuild-0.25.5-1');
    await mkdir(folder, { recursive: true });
    const program = join(folder, `esbuild-${process.platform}-${process.arch}`);
    await writeFile(program, '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    registry.npm('simple', '1.0.0', { 'index.js': 'module.exports = 1' });
    await prepare(importing('npm:simple'));
    expect((await readFile(program)).length).toBeGreaterThan(1_000_000);
  });
});
