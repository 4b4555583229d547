/** Imports from deploy to call: locked, stored once, there when the registry is gone; and V8's cache of what they become. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, executionOf, followLog } from '../support/answers.js';
import { until } from '../support/node.js';
import { type Registry, startRegistry } from '../support/registry.js';
import { startTenantNode, type TenantNode } from '../support/tenants.js';

let registry: Registry;
let stage: TenantNode;
let functionsDir: string;

/** Enough of it that V8's cache is worth keeping. */
const large = (says: string) =>
  `${Array.from({ length: 1500 }, (_, n) => `exports.f${n} = function (a) { return a + ${n} + ${JSON.stringify(says)}; };`).join('\n')}\n`;

beforeAll(async () => {
  registry = await startRegistry();
  functionsDir = await mkdtemp(join(tmpdir(), 'hearth-functions-'));
  registry.npm(
    'greeting',
    '1.0.0',
    { 'index.js': 'module.exports = (who) => ["hello", who, require("mark")].join(" ");' },
    {
      dependencies: { mark: '*' },
    },
  );
  registry.npm('mark', '1.0.0', { 'index.js': 'module.exports = "with a mark";' });
  registry.npm('large', '1.0.0', {
    'index.js': `const url = require("node:url");\n${large('large')}exports.url = url;`,
  });
  registry.jsr('@s/shout', '1.0.0', {
    'mod.ts': 'export const shout = (text: string) => text.toUpperCase();',
  });
  await mkdir(join(functionsDir, 'filed'));
  await writeFile(
    join(functionsDir, 'filed/index.ts'),
    'import greet from "greet";\nexport default () => greet("a file");\n',
  );
  await writeFile(join(functionsDir, 'filed/deno.json'), '{ "imports": { "greet": "npm:greeting@1" } }');
  stage = await startTenantNode({ ...registry.env, HEARTH_FUNCTIONS_DIR: functionsDir });
});

afterAll(async () => {
  await stage.stop();
  await registry.stop();
  await rm(functionsDir, { recursive: true, force: true });
});

const GREETING =
  'import greet from "npm:greeting@1";\nexport default (request) => greet(new URL(request.url).search);\n';
const LARGE = [
  'import { f7 } from "npm:large";',
  'interface Nothing {}',
  'export default (request: Request) => {',
  '  if (request.url.endsWith("?fail")) throw new Error("asked for");',
  '  return f7(1);',
  '};',
].join('\n');

const patch = (name: string, json: object, query = '') =>
  stage.node.api(`/api/v1/functions/${name}${query}`, { method: 'PATCH', json });
const idOf = async (name: string, tenant = 'default') =>
  String(
    (
      await stage.sql(
        `select id from functions where tenant = '${tenant}' and name = '${name}' and deleted_at is null`,
      )
    )[0]?.id,
  );
/** Of a function's cache: when it was stored, and for which bundle. */
async function cacheOf(id: string): Promise<{ at: string; hash: string } | undefined> {
  const [row] = await stage.sql(
    `select created_at::text as at, hash from code_caches where function_id = '${id}'`,
  );
  return row === undefined ? undefined : { at: String(row.at), hash: String(row.hash) };
}
async function untilCached(id: string): Promise<{ at: string; hash: string }> {
  let found: { at: string; hash: string } | undefined;
  await until(async () => {
    found = await cacheOf(id);
    return found !== undefined;
  });
  return found ?? { at: '', hash: '' };
}
/** The files of a bundle on the node's disk. */
const filesOf = (hash: string) => readdir(join(stage.node.dataDir, 'code', hash)).catch(() => []);

describe('what a version was built from', () => {
  it('is listed with it', async () => {
    await stage.node.deploy('listed', `${GREETING}import "jsr:@s/shout@1";`);
    const versions = await (await stage.node.api('/api/v1/functions/listed/versions')).json();
    expect(versions).toMatchObject([
      {
        version: 1,
        imports: [
          { specifier: 'jsr:@s/shout@1', resolved: 'jsr:@s/shout@1.0.0' },
          {
            specifier: 'npm:greeting@1',
            resolved: 'npm:greeting@1.0.0',
            integrity: expect.stringMatching(/^sha512-/),
          },
          { specifier: null, resolved: 'npm:mark@1.0.0' },
        ],
      },
    ]);
    await stage.node.deploy('without', 'export default () => 1;');
    const without = await (await stage.node.api('/api/v1/functions/without/versions')).json();
    expect(without).toMatchObject([{ imports: [] }]);
  });

  it('is what new code is built from, until it is asked to look anew', async () => {
    await stage.node.deploy('locked', GREETING);
    registry.npm('greeting', '1.0.0', { 'index.js': 'module.exports = () => "republished";' });
    registry.npm('greeting', '1.1.0', { 'index.js': 'module.exports = () => "newer";' });
    await rm(join(stage.node.dataDir, 'deno/npm'), { recursive: true });

    const refused = await errorOf(await patch('locked', { code: GREETING }));
    expect(refused).toMatchObject({ status: 400, code: 'INVALID_FUNCTION' });
    expect(refused.error).toContain(
      'Cannot load "npm:greeting@1": the checksum of greeting@1.0.0 is not what this',
    );
    expect(refused.details?.[0]).toMatchObject({ line: 1, column: 19 });
    expect(await (await stage.node.call('locked?you')).text()).toBe('hello ?you with a mark');

    const anew = await patch('locked', { code: GREETING }, '?update_imports=true');
    expect(anew.status).toBe(200);
    expect(await anew.json()).toMatchObject({ version: 2 });
    expect(await (await stage.node.call('locked')).text()).toBe('newer');
  });
});

it('a deploy whose import is missing is refused by name', async () => {
  const deploy = (code: string) =>
    stage.node.api('/api/v1/functions', { method: 'POST', json: { name: 'never', code } });
  const missing = await errorOf(await deploy('export default 1;\nimport "npm:nobody-has-this@3";'));
  expect(missing).toMatchObject({ status: 400, code: 'INVALID_FUNCTION', details: [{ line: 2, column: 8 }] });
  expect(missing.error).toContain('npm:nobody-has-this@3');
  expect((await stage.node.api('/api/v1/functions/never')).status).toBe(404);
});

describe("V8's cache of a large module", () => {
  it('is there before the first call, on every node, and is used again after a restart', async () => {
    await stage.node.deploy('warmed', LARGE);
    const id = await idOf('warmed');
    const { at, hash } = await untilCached(id);
    // Of Deno's own modules too, and what the module imports.
    const [kept] = await stage.sql(`select deflated from code_caches where function_id = '${id}'`);
    const held = inflateSync(kept?.deflated as Buffer).toString('latin1');
    expect(held).toMatch(/v8 \d+ -?\d+ file:\S+main\.js/);
    expect(held).toMatch(/v8 \d+ -?\d+ (node|ext):/);
    expect(held).toMatch(/imports \d+ -?\d+ file:\S+main\.js\{/);
    const name = (await filesOf(hash)).find((file) => file.startsWith(id));
    expect(name).toMatch(/\.deno-2\.[\w.-]+\.v8$/);

    await stage.node.stop();
    await rm(join(stage.node.dataDir, 'code'), { recursive: true });
    await stage.restart();
    expect(await filesOf(hash)).toEqual([]);
    expect(await (await stage.node.call('warmed')).text()).toBe('8large');
    const failed = await executionOf(stage.node, await stage.node.call('warmed?fail'));
    expect(failed.error_stack).toMatch(/\/warmed\.ts:4:\d+/);
    expect(await filesOf(hash)).toContain(name);
    expect(await cacheOf(id)).toEqual({ at, hash });
  });

  it('is its own: who deploys the same code shares the bundle, and neither that cache nor its end', async () => {
    const other = await stage.tenant('other');
    await stage.node.deploy('shared', LARGE);
    await other.deploy('shared', LARGE);
    const [original, copy] = [await idOf('shared'), await idOf('shared', 'other')];
    const { hash } = await untilCached(original);
    expect((await untilCached(copy)).hash).toBe(hash);
    expect(await stage.sql(`select count(*)::int as n from bundles where hash = '${hash}'`)).toEqual([
      { n: 1 },
    ]);
    expect(await filesOf(hash)).toEqual(
      expect.arrayContaining([original, copy].map((id) => expect.stringContaining(id))),
    );

    // What one of them hands out is rubbish: not even it is harmed, and the other does not see it.
    await stage.sql(
      `update code_caches set deflated = decode('789c0b490d000000f800a1', 'hex') where function_id = '${original}'`,
    );
    await stage.node.stop();
    await rm(join(stage.node.dataDir, 'code'), { recursive: true });
    await stage.restart();
    expect(await (await stage.node.call('shared')).text()).toBe('8large');
    expect(await (await other.call('shared')).text()).toBe('8large');

    await stage.node.api('/api/v1/functions/shared', { method: 'DELETE' });
    expect(await cacheOf(original)).toBeUndefined();
    expect(await (await other.call('shared?again')).text()).toBe('8large');
    expect(await cacheOf(copy)).toMatchObject({ hash });
  });

  it('is made by the function as it will run; what goes wrong then is in its log', async () => {
    await stage.node.deploy('tried', 'export default () => 1;');
    await stage.node.api('/api/v1/secrets/TRIED?function=tried', {
      method: 'PUT',
      json: { value: 'a-value-to-hide' },
    });
    const log = await followLog(stage.node, 'tried');
    const code = (rest: string) =>
      `import * as all from "npm:large";\nexport default () => all.f1(2);\n${rest}`;
    const messages = () => log.events().map(({ message }) => message);
    await patch('tried', {
      code: code(
        'console.log(Deno.env.get("HEARTH_FUNCTION"), Deno.permissions.querySync({ name: "write" }).state);',
      ),
    });
    await until(
      () => messages().includes('tried prompt'),
      20_000,
      () => JSON.stringify(messages()),
    );
    const broken = await patch('tried', {
      code: code('throw new Error("broken by " + Deno.env.get("TRIED"));'),
    });
    expect(broken.status).toBe(200);
    const failure = 'The module was loaded once after its deploy, and failed: broken by ';
    await until(
      () => messages().some((message) => message.startsWith(failure)),
      20_000,
      () => JSON.stringify(messages()),
    );
    expect(JSON.stringify(messages())).not.toContain('a-value-to-hide');
    await log.stop();
  });
});

it('with the registry gone and the node started anew, what was deployed is there', async () => {
  await stage.node.deploy(
    'lasting',
    `${GREETING}import { shout } from "jsr:@s/shout@1";\nexport const said = shout("x");`,
  );
  const requests = registry.requests.length;
  await registry.stop();
  await rm(join(stage.node.dataDir, 'deno'), { recursive: true });
  await rm(join(stage.node.dataDir, 'code'), { recursive: true });
  await stage.restart();
  expect((await stage.node.call('lasting')).status).toBe(200);
  expect(await (await stage.node.call('filed')).text()).toBe('hello a file with a mark');
  expect(stage.node.output()).not.toMatch(/filed.*(registry|import)/i);
  const reloaded = await (await stage.node.api('/api/v1/admin/functions/reload', { method: 'POST' })).json();
  expect(reloaded).toMatchObject({ unchanged: ['filed'], errors: [] });
  expect(registry.requests.length).toBe(requests);
});
