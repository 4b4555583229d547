import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HearthError } from '../errors.js';
import { createPrepare, type FunctionSource, type Prepare } from './prepare.js';

const run = promisify(execFile);
let dir: string;
let prepare: Prepare;
let denoPath: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearth-prepare-'));
  const deno = createRequire(import.meta.url).resolve('deno/package.json');
  const platform = `@deno/${process.platform}-${process.arch}${process.platform === 'linux' ? '-glibc' : ''}`;
  denoPath = join(dirname(createRequire(deno).resolve(`${platform}/package.json`)), 'deno');
  prepare = createPrepare(options());
});

afterAll(() => rm(dir, { recursive: true, force: true }));

/** Nothing here is fetched. */
const options = () => ({
  denoPath,
  cacheDir: join(dir, 'cache'),
  env: {},
  sandbox: null,
  esbuildPath: null,
});

const text = (code: string): FunctionSource => ({ code, name: 'hello' });
const HANDLER = 'export default () => "hello";\n';

async function failure(source: FunctionSource, with_: Prepare = prepare): Promise<HearthError> {
  const error = await with_(source).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof HearthError)) throw new Error(`expected a HearthError, got ${String(error)}`);
  return error;
}

/** The stack that a real Deno prints when the bundle throws. */
async function stackOf(bundle: string, name = 'main.js'): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, bundle);
  const thrown = await run(denoPath, ['run', '--no-config', '--no-lock', file], {
    env: { PATH: process.env.PATH, HOME: dir, DENO_DIR: join(dir, 'run'), NO_COLOR: '1' },
  }).then(
    () => '',
    (error: Error & { stderr: string }) => error.stderr,
  );
  return thrown;
}

async function tree(files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(dir, 'root-'));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

describe('one module as text', () => {
  it('becomes one module whose hash is that of its bundle', async () => {
    const prepared = await prepare(text(HANDLER));
    expect(prepared.code).toBe(HANDLER);
    expect(prepared.hash).toBe(createHash('sha256').update(prepared.bundle).digest('hex'));
    expect((await prepare(text(HANDLER))).hash).toBe(prepared.hash);
  });

  it("shows the user's own lines in a stack", async () => {
    const { bundle } = await prepare(
      text('interface A {\n  a: number;\n}\n\nexport default (a: A) => a;\nthrow new Error("here");\n'),
    );
    expect(await stackOf(bundle)).toContain('/hello.ts:6:7');
  });

  it.each([
    ['a handler that is not exported', 'async function handler(request) { return request.url; }'],
    ['a handler that is exported', 'export async function handler(request) { return request.url; }'],
    ['a handler in a constant', 'const handler = () => 1'],
    ['a default function', 'export default () => new Response()'],
    ['a default object', 'export default { fetch: () => new Response() }'],
    ['Deno.serve', 'Deno.serve(() => new Response())'],
    ['addEventListener', 'addEventListener("fetch", () => {})'],
    [
      'JSX where it is used',
      '/** @jsxRuntime classic @jsx h */\nconst h = String;\nexport default () => <p>hi</p>;',
    ],
    ['a last line that is a comment', 'function handler() {} // the end'],
    [
      'a guarded require',
      'const c = typeof require === "function" ? require("crypto") : 1;\nexport default () => c;',
    ],
    ['an import whose name is known later', 'export default (name: string) => import(name);'],
  ])('may have %s', async (_, code) => {
    await expect(prepare(text(code))).resolves.toMatchObject({ code });
  });

  it('keeps a handler that is not exported reachable', async () => {
    const { bundle } = await prepare(text('async function handler() { return 1; }'));
    expect(bundle).toContain('handler as __hearth_handler');
  });

  it('leaves node: imports and translates decorators for V8', async () => {
    const { bundle } = await prepare(
      text(
        'import { sep } from "node:path";\nfunction d(a: unknown) {}\n@d class A {}\nexport default () => [A, sep];',
      ),
    );
    expect(bundle).toContain('from "node:path"');
    expect(await stackOf(bundle)).toBe('');
  });

  it.each<[string, string, string, number | undefined, number | undefined]>([
    ['a syntax error', 'const a = 1;\nlet é = "é"; let b c = 2;', 'Expected ";" but found "c"', 2, 20],
    ['what ends too early', 'export default () => {\n  return 1;', 'Unexpected "export"', 2, 12],
    [
      'a relative import',
      `${HANDLER}  import "./x.ts";`,
      'A function of one module cannot import "./x.ts"',
      2,
      10,
    ],
    ['a bare import', 'import _ from "lodash";\nexport default _;', 'did you mean "npm:lodash"?', 1, 15],
    [
      'a bare built-in',
      'import fs from "fs/promises";\nexport default fs;',
      'did you mean "node:fs/promises"?',
      1,
      16,
    ],
    [
      'an unknown built-in',
      'import fs from "node:nope";\nexport default fs;',
      'no built-in module "node:nope"',
      1,
      16,
    ],
    ['http:', 'import "http://localhost/x.js";', 'only https: URLs can be imported', 1, 8],
    ['file:', 'import "file:///etc/passwd";', 'cannot import files of the server', 1, 8],
    ['data:', 'import "data:text/javascript,1";', 'Cannot import a data: URL', 1, 8],
    ['an absolute path', 'import "/etc/passwd";', 'by absolute path', 1, 8],
    [
      'a path that is put together',
      'export default () => import("/etc/" + "passwd");',
      'by absolute path',
      1,
      29,
    ],
    ['another scheme', 'import "ftp://x/y";', '"ftp:" imports are not supported', 1, 8],
    ['a bad npm: import', 'import "npm:@@x";', 'not a valid npm import', 1, 8],
    ['a dynamic import', 'export default () => import("./y.ts");', 'cannot import "./y.ts"', 1, 29],
    ['an empty text', ' \n', 'empty', undefined, undefined],
    ['a NUL', 'export default 1;\nlet a = "\0";', 'NUL', 2, 10],
    ['half a character', 'export default "\ud800";', 'lone surrogate', 1, 17],
    ['no handler', 'export const a = 1;', 'exports no handler', undefined, undefined],
    ['brackets without end', '['.repeat(100_000), 'nested too deeply', 1, 10_001],
  ])('is refused for %s', async (_, code, message, line, column) => {
    const error = await failure(text(code));
    expect(error.code).toBe('INVALID_FUNCTION');
    expect(error.details?.[0]).toMatchObject({ field: 'code' });
    expect(error.details?.[0]?.message).toContain(message);
    expect([error.details?.[0]?.line, error.details?.[0]?.column]).toEqual([line, column]);
    if (line !== undefined) expect(error.message).toMatch(new RegExp(`^Line ${line}, column ${column}: `));
  });

  it('is refused over the size limit', async () => {
    const small = createPrepare({ ...options(), maxCodeBytes: 20 });
    expect((await failure(text(HANDLER), small)).code).toBe('TOO_LARGE');
    expect((await small(text('export default 1'))).code).toBe('export default 1');
  });

  it('does not take the next deploys with it when it ends the parser', async () => {
    const slow = createPrepare({ ...options(), timeoutMs: 400 });
    const [bad, good] = await Promise.all([
      failure(text(`export default ${'!'.repeat(1_000_000)}1`), slow),
      failure(text('syntax error'), slow),
    ]);
    expect(bad.message).toContain('too deeply nested');
    expect(good.code).toBe('INVALID_FUNCTION');
    await expect(prepare(text(HANDLER))).resolves.toBeDefined();
  });
});

describe('a file on disk', () => {
  it('imports what is beside it inside the root', async () => {
    const root = await tree({
      'hello/index.ts':
        'import { cors } from "../_shared/cors.ts";\nimport data from "./data.json" with { type: "json" };\n' +
        'import note from "./note.txt" with { type: "text" };\nexport default () => [cors, data, note];\n',
      'hello/data.json': '{"a":"of the file"}',
      'hello/note.txt': 'a note',
      '_shared/cors.ts': 'export const cors: string = "*";\nthrow new Error("shared");\n',
    });
    const { bundle, code } = await prepare({ entry: join(root, 'hello/index.ts'), root, name: 'hello' });
    expect(code).toContain('../_shared/cors.ts');
    expect(bundle).toContain('of the file');
    expect(bundle).toContain('a note');
    expect(await stackOf(bundle)).toContain('/_shared/cors.ts:2:7');
  });

  it('names the file that is wrong', async () => {
    const root = await tree({ 'a.ts': 'import "./b.ts";\nexport default 1;', 'b.ts': 'let a\nlet b c' });
    const error = await failure({ entry: join(root, 'a.ts'), root, name: 'a' });
    expect(error.message).toBe('In b.ts, line 2, column 7: Expected ";" but found "c"');
  });

  it.each<[string, string]>([
    ['../../etc/passwd', 'leads out'],
    ['../outside.ts', 'leads out'],
    ['./link.ts', 'leads out'],
    ['./linked/outside.ts', 'leads out'],
    ['/etc/passwd', 'absolute path'],
    ['./b', 'did you mean "./b.ts"?'],
    ['./folder', 'is a folder'],
    ['./data.json', 'with { type: "json" }'],
    ['./note.txt', 'neither JavaScript nor TypeScript'],
    ['./%2e%2e/outside.ts', 'Cannot find'],
  ])('may not import %s', async (specifier, message) => {
    const top = await tree({
      'outside.ts': 'export const secret = 1;',
      'root/b.ts': 'export {}',
      'root/folder/x.ts': '',
      'root/data.json': '{}',
      'root/note.txt': '',
      'root/a.ts': `export default 1;\nimport "${specifier}";`,
    });
    const root = join(top, 'root');
    await symlink(join(top, 'outside.ts'), join(root, 'link.ts'));
    await symlink(top, join(root, 'linked'));
    const error = await failure({ entry: join(root, 'a.ts'), root, name: 'a' });
    expect(error.details?.[0]).toMatchObject({ line: 2, column: 8 });
    expect(error.message).toContain(message);
  });

  it('may not reach a file through a literal that only folding makes', async () => {
    const root = await tree({
      'a.ts':
        'import { E } from "./e.ts";\nimport ms from "npm:ms@2";\nexport default () => [ms, import(E.A)];',
      'e.ts': 'export enum E { A = "/etc/passwd" }',
    });
    const error = await failure({ entry: join(root, 'a.ts'), root, name: 'a' });
    expect(error.message).toContain('by absolute path');
  });

  it('finds names in the import map beside it, or beside all functions', async () => {
    const root = await tree({
      'hello/index.tsx':
        'import { tone } from "tone";\nimport { cors } from "@shared/cors.ts";\nimport { sep } from "paths";\n' +
        'export default () => [tone, cors, sep, <p>hi</p>];\n',
      'hello/deno.json':
        '{\n  // Of this function.\n  "imports": { "tone": "./tone.ts", "@shared/": "../_shared/", "paths": "node:path", ' +
        '"jsx/jsx-runtime": "./jsx.ts", },\n  "compilerOptions": { "jsxImportSource": "jsx" }\n}',
      'hello/tone.ts': 'export const tone = "high: // http://";',
      'hello/jsx.ts': 'export const jsx = () => "made by jsx";',
      '_shared/cors.ts': 'import { deep } from "deep";\nexport const cors = ["shared", deep];',
      'other.ts': 'import { deep } from "deep";\nexport default () => deep;',
      'deno.jsonc': '{ "imports": { "deep": "./_shared/deep.ts" } }',
      '_shared/deep.ts': 'export const deep = "of all";',
    });
    const other = await prepare({ entry: join(root, 'other.ts'), root, name: 'other' });
    expect(other.bundle).toContain('of all');
    // The nearest one counts alone, for whatever the function imports.
    const hello = { entry: join(root, 'hello/index.tsx'), root, name: 'hello' };
    expect((await failure(hello)).message).toBe(
      'In _shared/cors.ts, line 1, column 22: Cannot import "deep": it is not among the "imports" of hello/deno.json',
    );
    await writeFile(join(root, '_shared/cors.ts'), 'export const cors = "shared";');
    const { bundle } = await prepare(hello);
    for (const part of ['high: // http://', 'shared', 'from "node:path"', 'made by jsx'])
      expect(bundle).toContain(part);
  });

  it.each<[string, string]>([
    ['{ "scopes": { "./": { "a": "npm:a" } } }', '"scopes" are not supported'],
    ['{ "importMap": "./map.json" }', '"importMap" is not supported'],
    ['{ "imports": { "./a": "./b.ts" } }', 'only names and URLs can be mapped'],
    ['{ "imports": { "a": "b" } }', 'neither a URL nor a path'],
    ['{ "imports": { "a/": "npm:a" } }', 'ends with a slash'],
    ['{ "imports": [] }', '"imports" must be an object'],
    ['{ "imports": { "a": "../../etc/passwd" } }', 'leads out of the functions folder'],
    ['{ "imports": { "a": "file:///etc/passwd" } }', 'cannot import files of the server'],
    ['{ nonsense', 'JSON'],
  ])('may not have the import map %s', async (map, message) => {
    const root = await tree({ 'f/index.ts': 'import "a";\nexport default 1;', 'f/deno.json': map });
    const error = await failure({ entry: join(root, 'f/index.ts'), root, name: 'f' });
    expect(error.code).toBe('INVALID_FUNCTION');
    expect(error.message).toContain(message);
  });

  it('may not be a link out of the root, nor malformed UTF-8', async () => {
    const root = await tree({});
    await symlink('/etc/passwd', join(root, 'a.ts'));
    expect((await failure({ entry: join(root, 'a.ts'), root, name: 'a' })).message).toContain('leads out');
    await writeFile(join(root, 'b.ts'), Buffer.from([0x61, 0xff]));
    expect((await failure({ entry: join(root, 'b.ts'), root, name: 'b' })).message).toContain('UTF-8');
  });
});
