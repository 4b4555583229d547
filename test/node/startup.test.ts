/** How a node starts: what it refuses, in one line and with exit status 2, and what it says and leaves when it works. */
import { existsSync, readFileSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseUrl } from '../support/database_url.js';
import { root, startNode, until } from '../support/node.js';
import { startTestPostgres, run as statement } from '../support/postgres.js';
import { foldersOf, mentioning } from '../support/processes.js';
import { type Run, runToEnd } from '../support/run.js';

const isRoot = process.getuid?.() === 0;
/** nobody, on every Linux. */
const ORDINARY = 65_534;
const ORDINARY_USER = isRoot
  ? ['setpriv', `--reuid=${ORDINARY}`, `--regid=${ORDINARY}`, '--clear-groups', '--']
  : [];

let dir: string;
let fresh = 0;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hearth-test-'));
});

afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

function newDataDir(): string {
  return join(dir, `data-${++fresh}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** One line on standard error, which names what is wrong; nothing else, and nothing left. */
function expectRefusal(run: Run, pattern: RegExp) {
  expect(run.stderr).toMatch(/^hearth: [^\n]+\n$/);
  expect(run.stderr).toMatch(pattern);
  expect({ status: run.status, signal: run.signal }).toEqual({ status: 2, signal: null });
  expect(run.stdout).not.toContain('is ready');
}

describe('a wrong setting', () => {
  it.each([
    ['HEARTH_PORT', 'eighty'],
    ['HEARTH_HOST', 'no.such.host.invalid'],
    ['DATABASE_URL', 'mysql://root:hunter2hunter2@127.0.0.1/x'],
    ['HEARTH_JWT_SECRET', 'hunter2'],
    ['HEARTH_SANDBOX', 'docker'],
  ])('%s=%s is refused in one line that names it', async (name, value) => {
    const dataDir = newDataDir();
    const run = await runToEnd({ HEARTH_DATA_DIR: dataDir, [name]: value });
    expectRefusal(run, new RegExp(`\\b${name}\\b`));
    expect(run.stderr).not.toContain('hunter2');
    if (name !== 'HEARTH_HOST') expect(existsSync(dataDir)).toBe(false);
  });
});

describe('a port that is taken', () => {
  let taken: Server;
  let port: string;

  beforeAll(async () => {
    taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const address = taken.address();
    port = String(typeof address === 'object' ? address?.port : address);
  });

  afterAll(() => new Promise((resolve) => taken.close(resolve)));

  it.each(['HEARTH_PORT', 'HEARTH_METRICS_PORT'])('is refused as %s, and nothing is left', async (name) => {
    const dataDir = newDataDir();
    expectRefusal(await runToEnd({ HEARTH_DATA_DIR: dataDir, [name]: port }), new RegExp(`${port}.*${name}`));
    expect(mentioning(dataDir)).toEqual([]);
  });
});

describe('a place that cannot be used', () => {
  it('is named when the database does not answer, without the password', async () => {
    const run = await runToEnd({
      HEARTH_DATA_DIR: newDataDir(),
      DATABASE_URL: 'postgres://someone:hunter2hunter2@127.0.0.1:1/hearth',
    });
    expectRefusal(run, /database at 127\.0\.0\.1:1 cannot be reached/);
    expect(run.stderr).not.toContain('hunter2');
  });

  it.each([
    ['may not be written', 0o500],
    ['may not be entered', 0o000],
  ])('is named when the data directory %s', async (_, mode) => {
    const dataDir = newDataDir();
    await mkdir(dataDir);
    await chmod(dir, 0o755);
    if (isRoot) await chown(dataDir, ORDINARY, ORDINARY);
    await chmod(dataDir, mode);
    for (const database of [undefined, 'postgres://someone@127.0.0.1:1/hearth']) {
      const run = await runToEnd(
        { HEARTH_DATA_DIR: dataDir, ...(database === undefined ? {} : { DATABASE_URL: database }) },
        { prefix: ORDINARY_USER, cwd: '/' },
      );
      expectRefusal(run, new RegExp(`data directory ${dataDir}`));
    }
    await chmod(dataDir, 0o700);
  });

  it.each(['file', 'file/below'])('is named when the data directory is %s', async (name) => {
    const dataDir = join(root, 'package.json', name === 'file' ? '' : 'below').replace(/\/$/, '');
    expectRefusal(await runToEnd({ HEARTH_DATA_DIR: dataDir }), new RegExp(`data directory ${dataDir}`));
  });

  it('is named when several tenants would have nothing but permissions between them', async () => {
    const postgres = await startTestPostgres();
    const connection = await postgres.database();
    const address = await databaseUrl(connection);
    try {
      await statement(connection, `insert into tenants (slug, display_name) values ('second', 'Second')`);
      const env = { HEARTH_DATA_DIR: newDataDir(), DATABASE_URL: address.url, HEARTH_SANDBOX: 'permissions' };
      expectRefusal(await runToEnd(env), /several tenants.*HEARTH_TENANTS_WITHOUT_SANDBOX/);
    } finally {
      await address.stop();
      await postgres.stop();
    }
  });

  it('is named when HEARTH_SANDBOX asks for a bubblewrap that is not there', async () => {
    const bin = join(dir, 'bin');
    await mkdir(bin);
    // bubblewrap cannot make its namespaces where a program of its name does nothing but fail.
    await symlink('/bin/false', join(bin, 'bwrap'));
    const run = await runToEnd({
      HEARTH_DATA_DIR: newDataDir(),
      HEARTH_SANDBOX: 'bwrap',
      PATH: `${bin}:${process.env.PATH}`,
    });
    expectRefusal(run, /HEARTH_SANDBOX/);
  });
});

describe('a node that starts', () => {
  it('says where everything is, answers there, keeps its credentials, and lets no second one on its data', async () => {
    const dataDir = newDataDir();
    const node = await startNode({}, { dataDir });
    try {
      const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
      for (const shown of [
        `Hearth ${version}`,
        `${node.url}/functions/v1/`,
        node.console_url,
        node.metrics_url,
        join(dataDir, 'credentials.json'),
        'no functions yet',
        'creating the database',
      ]) {
        expect(node.output()).toContain(shown);
      }
      expect(node.output()).toMatch(/ready in \d+\.\d s/);
      for (const secret of [node.service_key, node.admin_key, node.jwt_secret, node.anon_key])
        expect(node.output()).not.toContain(secret);

      const path = join(dataDir, 'credentials.json');
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      const kept = JSON.parse(await readFile(path, 'utf8'));
      expect(Object.keys(kept).sort()).toEqual(
        [
          'admin_key',
          'anon_key',
          'console_url',
          'jwt_secret',
          'metrics_url',
          'service_key',
          'tenant',
          'url',
        ].sort(),
      );
      expect(kept).toMatchObject({ tenant: 'default', console_url: `${node.url}/console` });
      for (const url of [node.url, node.metrics_url]) expect(new URL(url).port).toMatch(/^[1-9]\d+$/);

      expect((await fetch(`${node.url}/healthz`)).status).toBe(200);
      expect((await fetch(`${node.url}/readyz`)).status).toBe(200);
      expect((await fetch(node.metrics_url)).status).toBe(200);
      for (const key of ['service', 'admin'] as const)
        expect((await node.api('/api/v1/functions', { key })).status).toBe(200);

      expectRefusal(await runToEnd({ HEARTH_DATA_DIR: dataDir }), /already in use/);
      expect((await fetch(`${node.url}/readyz`)).status).toBe(200);

      expect(await node.stop()).toBe(0);
      const next = await startNode(
        { HEARTH_METRICS_PORT: 'off', HEARTH_SANDBOX: 'permissions' },
        { dataDir },
      );
      try {
        const { anon_key, service_key, admin_key, jwt_secret } = node;
        expect(next).toMatchObject({ anon_key, service_key, admin_key, jwt_secret, metrics_url: null });
        expect(next.output()).toMatch(/Metrics\s+off/);
        expect(next.output()).toMatch(/Sandbox\s+permissions/);
        expect(next.output()).not.toContain('creating the database');
        await next.deploy('hello', "export default () => 'hello';");
        expect(await (await next.call('hello')).text()).toBe('hello');
        expect(await next.stop()).toBe(0);
      } finally {
        await next.remove();
      }
    } finally {
      await node.remove();
    }
  });

  it('has its credentials written and its API there when /readyz first answers 200', async () => {
    const dataDir = newDataDir();
    const port = await freePort();
    const starting = startNode({ HEARTH_PORT: String(port) }, { dataDir });
    const status = (path: string, headers = {}) =>
      fetch(`http://127.0.0.1:${port}${path}`, { headers }).then(
        (answer) => answer.status,
        () => 0, // nobody listens yet
      );
    try {
      await until(async () => (await status('/readyz')) === 200, 50_000);
      const { service_key } = JSON.parse(readFileSync(join(dataDir, 'credentials.json'), 'utf8'));
      expect(await status('/api/v1/functions', { 'x-service-key': service_key })).toBe(200);
    } finally {
      await (await starting).remove();
    }
  });

  it('serves the example functions of the folder it is started in', async () => {
    const node = await startNode({ HEARTH_FUNCTIONS_DIR: join(root, 'functions') });
    try {
      const examples = (await readdir(join(root, 'functions'))).map((name) => name.replace(/\.\w+$/, ''));
      const listed = (await (await node.api('/api/v1/functions')).json()) as { name: string }[];
      expect(listed.map(({ name }) => name).sort()).toEqual(
        examples.filter((name) => listed.some((fn) => fn.name === name)).sort(),
      );
      expect(listed.map(({ name }) => name)).toContain('hello');
      expect((await node.call('hello')).status).toBe(200);
    } finally {
      await node.remove();
    }
  });
});

describe('a stop during the start', () => {
  it.each([0, 200, 600, 1_000])('after %i ms ends with nothing left', async (delayMs) => {
    const dataDir = newDataDir();
    const running = runToEnd({ HEARTH_DATA_DIR: dataDir });
    let pid = 0;
    await until(() => {
      pid = mentioning(join(root, 'dist/main.js')).find((each) => each.parent === process.pid)?.pid ?? 0;
      return pid > 0;
    });
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    process.kill(pid, 'SIGTERM');
    const run = await running;
    // Before the signal is handled the system's own ending is all there is.
    expect(run.signal === 'SIGTERM' || run.status === 0).toBe(true);
    expect(run.stderr).toBe('');
    await until(() => mentioning(dataDir, `hearth-run-${pid}-`, `hearth-pg-${pid}-`).length === 0);
    expect(foldersOf(pid)).toEqual([]);
  });
});
