/** Secrets: set and listed, found by functions and by nobody else, replaced under running calls, and seen nowhere. */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, executionOf, followLog } from '../support/answers.js';
import { type DatabaseUrl, databaseUrl } from '../support/database_url.js';
import { type Gate, startGate } from '../support/gate.js';
import { startNode, type TestNode, until } from '../support/node.js';
import { run } from '../support/postgres.js';
import { foldersOf, processTree } from '../support/processes.js';
import { runToEnd } from '../support/run.js';

const OLD_KEY = 'the first key that secrets are sealed with';
const NEW_KEY = 'another key, which takes the place of the first';
const settings = {
  HEARTH_ADMIN_KEY: 'an admin key for these tests alone',
  // Several tenants share the node, whatever walls this machine has.
  HEARTH_TENANTS_WITHOUT_SANDBOX: 'allow',
};

/** What must be found nowhere. */
const API_KEY = 'sk_live_Zk3/9+dQ=7vXw_long enough&to find';
const PEM = `-----BEGIN TEST KEY-----\nq9Zl${'Jw4"x\\y'.repeat(6)}\nhU7nA5bV0cX2mK8s\n-----END TEST KEY-----\n`;
const SHARED = 'tenant-wide-4f1c9be27a';
const base64 = (text: string) => Buffer.from(text).toString('base64');
const needles = [
  API_KEY,
  SHARED,
  ...PEM.split('\n').slice(1, 3),
  JSON.stringify(PEM).slice(1, -1),
  encodeURIComponent(API_KEY),
  encodeURIComponent(PEM),
  base64(API_KEY),
  base64(PEM).slice(0, 60),
  base64(SHARED),
  // A half of it tells too much as well.
  API_KEY.slice(0, API_KEY.length >> 1),
];

let node: TestNode;
let gate: Gate;

beforeAll(async () => {
  [node, gate] = await Promise.all([startNode({ ...settings, HEARTH_SECRET_KEY: OLD_KEY }), startGate()]);
});
afterAll(async () => {
  await Promise.all([node?.remove(), gate?.stop()]);
});

type Init = Parameters<TestNode['api']>[1];
const put = (path: string, value: unknown, init: Init = {}, on = node) =>
  on.api(`/api/v1/secrets/${path}`, { method: 'PUT', json: { value }, ...init });
const listed = async (query = ''): Promise<Record<string, unknown>[]> => {
  const answer = await node.api(`/api/v1/secrets${query}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, unknown>[];
};

async function set(path: string, value: string) {
  const answer = await put(path, value);
  expect(answer.status, await answer.clone().text()).toBeLessThan(202);
  return (await answer.json()) as Record<string, unknown>;
}

/** What a call of shows_a_secret.js finds. */
async function shown(name: string, names: string[], on = node): Promise<Record<string, string | null>> {
  const answer = await on.call(`${name}?names=${names.join()}`);
  expect(answer.status, await answer.clone().text()).toBe(200);
  return ((await answer.json()) as { found: Record<string, string | null> }).found;
}

describe('a secret', () => {
  it('is set, listed without its value, replaced and deleted', async () => {
    await node.deployFile('shows_a_secret.js', {}, 'listed');
    const created = await put('SHARED', 'the first value');
    expect(created.status).toBe(201);
    const first = (await created.json()) as Record<string, unknown>;
    expect(first).toEqual({
      name: 'SHARED',
      function: null,
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    const replaced = await put('SHARED', SHARED);
    expect(replaced.status).toBe(200);
    const second = (await replaced.json()) as Record<string, unknown>;
    expect(second.digest).not.toBe(first.digest);
    expect(second.created_at).toBe(first.created_at);
    expect(await listed()).toEqual([second]);

    const own = await set('SHARED?function=listed', SHARED);
    expect(own).toMatchObject({ function: 'listed', digest: second.digest });
    expect(await listed('?function=listed')).toEqual([own]);
    const remove = () => node.api('/api/v1/secrets/SHARED?function=listed', { method: 'DELETE' });
    expect((await remove()).status).toBe(204);
    expect(await errorOf(await remove())).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(await listed('?function=listed')).toEqual([]);
    expect(await listed()).toEqual([second]);
  });

  it('has a digest that is no plain hash, and another one for another tenant', async () => {
    await node.api('/api/v1/admin/tenants', { method: 'POST', key: 'admin', json: { slug: 'acme' } });
    const other = await put(
      'SHARED',
      SHARED,
      { key: 'admin' },
      {
        ...node,
        api: (path, init) => node.api(`/t/acme${path}`, init),
      },
    );
    expect(other.status).toBe(201);
    const { digest } = (await other.json()) as { digest: string };
    const [own] = await listed();
    expect(digest).not.toBe(own?.digest);
    const plain = execFileSync(process.execPath, [
      '-e',
      'process.stdout.write(crypto.createHash("sha256").update(process.argv[1]).digest("hex"))',
      SHARED,
    ]);
    expect([digest, own?.digest]).not.toContain(String(plain));
  });

  it.each([
    ['1ST', 'x', 'name'],
    ['A-B', 'x', 'name'],
    ['A'.repeat(129), 'x', 'name'],
    ['HEARTH_URL', 'x', 'name'],
    ['hearth_anything', 'x', 'name'],
    ['DENO_DIR', 'x', 'name'],
    ['SUPABASE_URL', 'x', 'name'],
    ['PATH', 'x', 'name'],
    ['tmpdir', 'x', 'name'],
    ['FINE', '', 'value'],
    ['FINE', 'a\0b', 'value'],
    ['FINE', 'a\ud800', 'value'],
    ['FINE', 7, 'value'],
    ['FINE', undefined, 'value'],
  ])('named %s with the value %j is refused for its %s', async (name, value, field) => {
    const error = (await put(name, value).then((answer) => answer.json())) as {
      code: string;
      details: { field: string }[];
    };
    expect(error).toMatchObject({ code: 'INVALID_REQUEST', details: [{ field }] });
  });

  it('is refused without showing what was sent', async () => {
    const unquoted = await node.api('/api/v1/secrets/FINE', {
      method: 'PUT',
      body: `{"value": ${SHARED}`,
    });
    expect(unquoted.status).toBe(400);
    expect(await unquoted.text()).not.toContain(SHARED.slice(0, 8));
    const many = await put('FINE', { value: SHARED });
    expect(many.status).toBe(400);
    expect(await many.text()).not.toContain(SHARED);
  });

  it('is up to 64 KiB of UTF-8, a hundred of them, and 128 KiB in all', async () => {
    await node.deployFile('shows_a_secret.js', {}, 'large');
    const largest = `${'é'.repeat(32 * 1024 - 3)}-"\n\u0001\t\\`;
    expect(Buffer.byteLength(largest)).toBe(64 * 1024);
    expect(await errorOf(await put('A?function=large', `${largest}x`))).toMatchObject({
      status: 413,
      code: 'TOO_LARGE',
    });
    await set('A?function=large', largest);
    await set('B?function=large', largest);
    expect(await errorOf(await put('C?function=large', 'x'))).toMatchObject({
      status: 413,
      code: 'TOO_LARGE',
    });
    expect(await shown('large', ['A', 'B', 'C'])).toEqual({ A: largest, B: largest, C: null });

    await node.deployFile('shows_a_secret.js', {}, 'many');
    for (let n = 0; n < 100; n++) await set(`N${n}?function=many`, `value ${n}`);
    expect(await errorOf(await put('N100?function=many', 'x'))).toMatchObject({
      status: 400,
      code: 'INVALID_REQUEST',
    });
    expect((await put('N99?function=many', 'value 99 anew')).status).toBe(200);
    expect(await shown('many', ['N0', 'N99'])).toEqual({ N0: 'value 0', N99: 'value 99 anew' });
  });

  it('that is set or deleted is in the audit log, by its name', async () => {
    await set('NOTED?function=listed', 'never to be noted');
    await node.api('/api/v1/secrets/NOTED?function=listed', { method: 'DELETE' });
    const log = (await (await node.api('/api/v1/audit?limit=2')).json()) as Record<string, unknown>[];
    expect(log).toMatchObject([
      { action: 'secret.delete', subject: 'NOTED', details: { function: 'listed' } },
      { action: 'secret.set', subject: 'NOTED', details: { function: 'listed', changed: true } },
    ]);
    expect(JSON.stringify(log)).not.toContain('never');
  });

  it('is managed by those who may write secrets, each in its own tenant, and of functions that there are', async () => {
    for (const key of ['anon', 'none'] as const) {
      const answers = await Promise.all([
        node.api('/api/v1/secrets', { key }),
        put('FINE', 'x', { key }),
        node.api('/api/v1/secrets/SHARED', { key, method: 'DELETE' }),
      ]);
      for (const { status } of answers) expect(status).toBe(key === 'anon' ? 403 : 401);
    }
    expect((await node.api('/t/acme/api/v1/secrets')).status).toBe(403);
    expect((await node.api('/t/acme/api/v1/secrets', { key: 'admin' })).status).toBe(200);
    expect(await errorOf(await put('FINE?function=nobody', 'x'))).toMatchObject({
      status: 404,
      code: 'NOT_FOUND',
    });
    expect((await node.api('/api/v1/secrets?function=nobody')).status).toBe(404);
    expect((await node.api('/api/v1/secrets?nonsense=1')).status).toBe(400);
  });
});

describe('a function', () => {
  it("finds the tenant's secrets and its own, which win, and the platform's names as ever", async () => {
    await node.deployFile('shows_a_secret.js', {}, 'finds');
    await set('OWN?function=finds', 'its own');
    await set('lower_case?function=finds', 'as it is');
    const names = ['SHARED', 'OWN', 'lower_case', 'HEARTH_FUNCTION'];
    expect(await shown('finds', names)).toEqual({
      SHARED,
      OWN: 'its own',
      lower_case: 'as it is',
      HEARTH_FUNCTION: 'finds',
    });
    await set('SHARED?function=finds', "the function's");
    expect(await shown('finds', ['SHARED'])).toEqual({ SHARED: "the function's" });
    expect(await shown('listed', ['SHARED', 'OWN'])).toEqual({ SHARED, OWN: null });
    await node.api('/api/v1/secrets/SHARED?function=finds', { method: 'DELETE' });
    expect(await shown('finds', ['SHARED'])).toEqual({ SHARED });
  });

  it('finds none without allow_env', async () => {
    await node.deployFile('shows_a_secret.js', { allow_env: false }, 'without');
    await set('OWN?function=without', 'its own');
    expect(await shown('without', ['SHARED', 'OWN'])).toEqual({ SHARED: 'NotCapable', OWN: 'NotCapable' });
  });

  it("finds no other tenant's, though it has the same name, nor those of one that was deleted", async () => {
    const code = await readFile('test/functions/shows_a_secret.js', 'utf8');
    const answer = await node.api('/t/acme/api/v1/functions', {
      key: 'admin',
      method: 'POST',
      json: { name: 'finds', code },
    });
    expect(answer.status).toBe(201);
    await node.api('/t/acme/api/v1/secrets/SHARED', {
      key: 'admin',
      method: 'PUT',
      json: { value: 'of acme' },
    });
    const called = await node.api('/t/acme/functions/v1/finds?names=SHARED,OWN', { key: 'admin' });
    expect(await called.json()).toMatchObject({ found: { SHARED: 'of acme', OWN: null } });

    await node.api('/api/v1/functions/finds', { method: 'DELETE' });
    await node.deployFile('shows_a_secret.js', {}, 'finds');
    expect(await shown('finds', ['OWN'])).toEqual({ OWN: null });
    expect(await listed('?function=finds')).toEqual([]);
  });

  it.each(['OWN?function=changes', 'WIDE'])(
    'gets a new value of %s with its next call, while calls finish on the old one',
    async (path) => {
      const name = /^\w+/.exec(path)?.[0] ?? '';
      const fn = name === 'OWN' ? 'changes' : 'changes_too';
      await node.deployFile('shows_a_secret.js', {}, fn);
      await set(path, 'the old value');
      type Shown = { instance: string; found: Record<string, string> };
      const call = async (headers: Record<string, string> = {}) =>
        (await (await node.call(`${fn}?names=${name}`, { headers })).json()) as Shown;
      const before = await call();
      const arrived = gate.arrived.length;
      const inFlight = call({ 'x-gate': gate.url });
      await until(() => gate.arrived.length > arrived);
      await set(path, 'the new value');
      // Over several connections, and so at every router.
      const after = await Promise.all(Array.from({ length: 8 }, () => call()));
      for (const { found } of after) expect(found[name]).toBe('the new value');
      gate.release('1');
      expect(await inFlight).toEqual(before);
      expect(before.found[name]).toBe('the old value');

      // The same value again replaces nothing.
      const settled = await call();
      await set(path, 'the new value');
      expect((await call()).instance).toBe(settled.instance);
    },
  );
});

describe('what a function tells of its secrets', () => {
  const call = (way: string) => node.call(`leaks?way=${encodeURIComponent(way)}`);
  const clean = (text: string) => {
    for (const needle of needles) expect(text).not.toContain(needle);
  };

  beforeAll(async () => {
    await node.deployFile('tells_its_secrets.js', { timeout_seconds: 2 }, 'leaks');
    await set('API_KEY?function=leaks', API_KEY);
    await set('PEM?function=leaks', PEM);
  });

  it('is redacted in its log, stored and live, however it prints it', async () => {
    const live = await followLog(node, 'leaks');
    const answer = await call('prints');
    const { logs } = await executionOf(node, answer, (execution) => execution.logs !== null);
    await until(() => live.events().length >= 9);
    const followed = live
      .events()
      .map(({ message }) => message)
      .join('\n');
    await live.stop();
    for (const text of [logs ?? '', followed]) {
      clean(text);
      expect(text).toContain('plain [redacted]\n');
      expect(text).toContain('level [redacted]\n');
      expect(text).toContain('split [redacted]\n');
      expect(text).toContain('format [redacted]\n');
      expect(text).toMatch(/^json \{"PEM":"\[redacted\]/m);
      expect(text.match(/\[redacted\]/g)?.length).toBeGreaterThanOrEqual(12);
    }
  });

  it('is redacted in the result, but not in the answer', async () => {
    const answer = await call('returns');
    expect(await answer.json()).toEqual({ API_KEY, PEM, base64: base64(API_KEY) });
    const { result } = await executionOf(node, answer);
    expect(JSON.parse(result ?? '')).toEqual({
      API_KEY: '[redacted]',
      PEM: '[redacted]',
      // The last characters stand for less than a byte of it.
      base64: expect.stringMatching(/^\[redacted\].{0,3}$/),
    });
    const streamed = await call('streams');
    expect(await streamed.text()).toBe(`a ${API_KEY} z`);
    expect((await executionOf(node, streamed)).result).toBe('a [redacted] z');
  });

  it('is redacted in errors', async () => {
    const answer = await call('throws');
    expect(answer.status).toBe(500);
    const { error_message, error_stack, logs } = await executionOf(node, answer, ({ logs }) => logs !== null);
    expect(error_message).toMatch(/^\[redacted\] is of no use: /);
    clean(`${error_message} ${error_stack} ${logs}`);
    const bare = await executionOf(node, await call('throws it bare'), ({ logs }) => logs !== null);
    expect(bare.error_message).toBe('[redacted]');
    const header = await executionOf(node, await call('sends it as a header'));
    clean(JSON.stringify(header));
  });

  it('leaves no half of one where a text is cut', async () => {
    const end = (text: string | null) => (text ?? '').replace(/^x+/, '').trim();
    const answer = await call('returns at the edge');
    await answer.text();
    expect(end((await executionOf(node, answer)).result)).toMatch(/^\[(redacted\])?… \[cut at 64 KiB\]$/);
    const printed = await executionOf(node, await call('prints at the edge'), ({ logs }) => logs !== null);
    expect(end(printed.logs)).toMatch(/^\[(redacted\] )?… \[/);
  });

  it('is redacted when it crashes, goes over its time, prints late, writes to its output, or fails to load', async () => {
    const live = await followLog(node, 'leaks');
    const late = await executionOf(node, await call('prints after its answer'), ({ logs }) => logs !== null);
    expect(late.logs).toBe('late [redacted]');
    await call('writes to its output');
    await until(() => live.events().some(({ message }) => message === 'raw [redacted]'));
    await live.stop();
    const crashed = await executionOf(node, await call('exits'), ({ logs }) => logs !== null);
    expect(crashed).toMatchObject({ status: 'error', logs: 'before the end [redacted]' });
    const over = await executionOf(node, await call('goes over its time'), ({ logs }) => logs !== null);
    expect(over).toMatchObject({ status: 'timeout', logs: 'before the time is over [redacted]' });

    await node.deployFile('fails_to_load_with_its_secret.js', {}, 'fails');
    await set('API_KEY?function=fails', API_KEY);
    const failed = await executionOf(node, await node.call('fails'));
    expect(failed).toMatchObject({ status: 'error', error_message: 'cannot start with [redacted]' });
    clean(JSON.stringify(failed));
  });
});

describe('in the database, a secret', () => {
  it('that was moved to where it does not belong does not open, and the call is told so', async () => {
    await node.deployFile('shows_a_secret.js', {}, 'moved');
    await set('OWN?function=moved', 'to be overwritten');
    await run(
      embedded(),
      `update secrets set sealed = (select sealed from secrets where name = 'API_KEY' limit 1)
       where function_id = (select id from functions where name = 'moved')`,
    );
    expect(await errorOf(await node.call('moved'))).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
    await until(() => node.output().includes('belongs somewhere else'));
    // It can be set anew.
    await set('OWN?function=moved', 'as it should be');
    expect(await shown('moved', ['OWN'])).toEqual({ OWN: 'as it should be' });
  });
});

describe('another node on the same database', () => {
  let proxy: DatabaseUrl;
  let second: TestNode;

  beforeAll(async () => {
    proxy = await databaseUrl(embedded());
    second = await startNode({
      ...settings,
      HEARTH_SECRET_KEY: OLD_KEY,
      DATABASE_URL: proxy.url,
      HEARTH_ROUTERS: '1',
    });
  });
  afterAll(async () => {
    // Without the database a stop would wait for it.
    second?.process.kill('SIGKILL');
    await second?.remove();
    await proxy?.stop();
  });

  it('hears of changed secrets, and goes on with those it has when the database is away', async () => {
    const { hash } = await deployWithHash('shared_only');
    await until(() => second.call('shared_only').then(({ status }) => status === 200));
    await set('WIDE', 'heard of');
    await until(async () => (await shown('shared_only', ['WIDE'], second)).WIDE === 'heard of');
    await set('OWN?function=shared_only', 'heard of too');
    await until(async () => (await shown('shared_only', ['OWN'], second)).OWN === 'heard of too');

    // Known to the second node, code and all, and never called there.
    await deployWithHash('cold_shared');
    await deployWithHash('cold_own');
    await set('OWN?function=cold_own', 'nobody has read it here');
    const api = (path: string) => second.api(path).then(({ status }) => status === 200);
    await until(() => api('/api/v1/functions/cold_own'));
    await until(() => existsSync(join(second.dataDir, 'code', hash, 'main.js')));
    await until(async () => (await second.call('cold_own', { key: 'none' })).status === 401);
    // Functions are heard of in the order of their changes.
    await set('OWN?function=shared_only', 'heard of last');
    await until(async () => (await shown('shared_only', ['OWN'], second)).OWN === 'heard of last');
    await proxy.stop();
    expect(await shown('cold_shared', ['WIDE'], second)).toEqual({ WIDE: 'heard of' });
    const refused = await second.call('cold_own');
    const error = await errorOf(refused);
    expect(error).toMatchObject({ status: 503, code: 'UNAVAILABLE' });
    expect(refused.headers.get('retry-after')).toBe('2');
    expect(error.error).toContain('secrets');
  });

  async function deployWithHash(name: string): Promise<{ hash: string }> {
    await node.deployFile('shows_a_secret.js', {}, name);
    const answer = await node.api(`/api/v1/functions/${name}/versions`);
    const [version] = (await answer.json()) as { hash: string }[];
    return { hash: version?.hash ?? '' };
  }
});

describe('after all that, a secret', () => {
  it('is in no list, no metric, and nothing that the node has said', async () => {
    const listings: string[] = [];
    for (const path of [
      '/api/v1/secrets',
      '/api/v1/secrets?function=leaks',
      '/api/v1/functions',
      '/api/v1/functions/leaks',
      '/api/v1/functions/leaks/executions?limit=100',
      '/api/v1/functions/leaks/logs',
      '/api/v1/functions/fails/executions',
      '/api/v1/functions/listed/executions?limit=100',
      '/api/v1/functions/finds/executions?limit=100',
      '/api/v1/audit?limit=200',
      '/t/acme/api/v1/secrets',
      '/api/v1/openapi.json',
    ])
      listings.push(await (await node.api(path, { key: 'admin' })).text());
    listings.push(await (await fetch(node.metrics_url)).text(), node.output());
    for (const needle of needles) expect(listings.filter((text) => text.includes(needle))).toEqual([]);
  });

  it('is in no command line, no environment block, and no file of a running process', () => {
    expect(node.output()).not.toContain(OLD_KEY);
    const texts = processTree(node.process.pid ?? 0).flatMap(({ pid }) =>
      ['cmdline', 'environ'].map((file) => tryRead(`/proc/${pid}/${file}`)),
    );
    expect(texts.length).toBeGreaterThan(8);
    texts.push(execFileSync('ps', ['axeww'], { maxBuffer: 64 * 1024 * 1024 }));
    const runDirs = foldersOf(node.process.pid, 'run');
    expect(runDirs.length).toBeGreaterThan(0);
    const files = runDirs.flatMap(filesBelow);
    expect(files.length).toBeGreaterThan(2);
    expect(holding([...texts, ...files.map(tryRead)])).toEqual([]);
  });

  it('is in no core dump: the limit is 0 for every process of the node', () => {
    const limits = processTree(node.process.pid ?? 0).map(
      ({ pid, command }) =>
        [
          command,
          /Max core file size +(\S+) +(\S+)/.exec(String(tryRead(`/proc/${pid}/limits`)))?.slice(1),
        ] as const,
    );
    expect(limits.length).toBeGreaterThan(5);
    for (const [command, limit] of limits) expect(limit, command).toEqual(['0', '0']);
  });

  it('is in no file on the disk, neither of the database nor of its log', async () => {
    expect(await node.stop()).toBe(0);
    const files = filesBelow(node.dataDir);
    expect(files.filter((path) => path.includes('/pg_wal/')).length).toBeGreaterThan(0);
    expect(holding(files.map(tryRead))).toEqual([]);
    // It does find what is there.
    expect(
      files.filter(
        (path) => tryRead(path).includes('tells_its_secrets') || tryRead(path).includes('goes over its time'),
      ).length,
    ).toBeGreaterThan(0);
  });
});

describe('HEARTH_SECRET_KEY', () => {
  const restart = async (keys: Record<string, string>) => {
    node = await startNode({ ...settings, ...keys }, { dataDir: node.dataDir });
  };

  it('is replaced: what the previous key has sealed is sealed anew, and then opens without it', async () => {
    await restart({ HEARTH_SECRET_KEY: NEW_KEY, HEARTH_SECRET_KEY_PREVIOUS: OLD_KEY });
    const [before] = await listed();
    await until(() => node.output().includes('are now sealed with HEARTH_SECRET_KEY'));
    expect(await shown('shared_only', ['SHARED', 'OWN'])).toEqual({ SHARED, OWN: 'heard of last' });
    expect(await node.stop()).toBe(0);

    await restart({ HEARTH_SECRET_KEY: NEW_KEY });
    expect(await shown('shared_only', ['SHARED', 'OWN'])).toEqual({ SHARED, OWN: 'heard of last' });
    expect((await listed()).map(({ name }) => name)).toContain(before?.name);
    expect(node.output()).not.toContain('sealed');
    expect(await node.stop()).toBe(0);
  });

  it('that opens nothing of what is stored keeps the node from starting, in one line', async () => {
    const run = await runToEnd({ ...settings, HEARTH_DATA_DIR: node.dataDir, HEARTH_SECRET_KEY: OLD_KEY });
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(
      /^hearth: HEARTH_SECRET_KEY does not open \d+ of the stored secrets, [^\n]*\n$/,
    );
    expect(run.stdout + run.stderr).not.toContain(OLD_KEY);
  });
});

/** The node's own database. */
function embedded() {
  const [, , , port, host] = readFileSync(join(node.dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n');
  const password = readFileSync(join(node.dataDir, 'postgres-password'), 'utf8');
  return { host: host ?? '', port: Number(port), user: 'hearth', password, database: 'postgres' };
}

/** The needles that are in any of these. */
function holding(texts: (string | Buffer)[]): string[] {
  return needles.filter((needle) => texts.some((text) => text.includes(needle)));
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => join(folder, path))
    .filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isFile() === true);
}

/** Empty where it has gone meanwhile. */
function tryRead(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
