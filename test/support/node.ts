/** A whole node of Hearth as its users start it: `node dist/main.js`, with a data directory and ports of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { newDataDir } from './data_dir.js';

export interface Credentials {
  url: string;
  metrics_url: string;
  console_url: string;
  tenant: string;
  anon_key: string;
  service_key: string;
  admin_key: string;
  jwt_secret: string;
}

export interface TestNode extends Credentials {
  readonly process: ChildProcess;
  readonly dataDir: string;
  /** Everything that it wrote. */
  output(): string;
  /** `fetch` with a path; `key` is `service` unless told otherwise. */
  api(
    path: string,
    init?: RequestInit & { key?: 'service' | 'anon' | 'admin' | 'none'; json?: unknown },
  ): Promise<Response>;
  /** Calls a function with the anon key. */
  call(name: string, init?: RequestInit & { key?: 'service' | 'anon' | 'none' }): Promise<Response>;
  /** Creates it, or fails with what the API said. */
  deploy(name: string, code: string, settings?: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** The code of test/functions/<file>, deployed as `name`. */
  deployFile(
    file: string,
    settings?: Record<string, unknown>,
    name?: string,
  ): Promise<Record<string, unknown>>;
  /** SIGTERM; resolves with the exit status. */
  stop(): Promise<number | null>;
  /** Ends whatever is left, and removes the data directory. */
  remove(): Promise<void>;
}

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Starts a node; resolves when it says that it is ready. */
export async function startNode(
  env: Record<string, string> = {},
  options: { dataDir?: string; keepData?: boolean; cwd?: string } = {},
): Promise<TestNode> {
  const dataDir = options.dataDir ?? (await newDataDir());
  const emptyFunctions = join(dataDir, 'no-functions');
  const child = spawn(process.execPath, [join(root, 'dist/main.js')], {
    cwd: options.cwd ?? root,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      HEARTH_DATA_DIR: dataDir,
      HEARTH_PORT: '0',
      HEARTH_METRICS_PORT: '0',
      HEARTH_ROUTERS: '2',
      HEARTH_POOL_SIZE: '2',
      HEARTH_FUNCTIONS_DIR: emptyFunctions,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += String(chunk);
  });
  child.stderr?.on('data', (chunk) => {
    output += String(chunk);
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  await until(
    () => output.includes('is ready') || child.exitCode !== null,
    60_000,
    () => output,
  ).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  if (child.exitCode !== null) throw new Error(`the node did not start (exit ${child.exitCode}):\n${output}`);
  const credentials = JSON.parse(await readFile(join(dataDir, 'credentials.json'), 'utf8')) as Credentials;
  const keys = {
    service: credentials.service_key,
    anon: credentials.anon_key,
    admin: credentials.admin_key,
    none: '',
  };

  const api: TestNode['api'] = (path, { key = 'service', json, ...init } = {}) => {
    const headers = new Headers(init.headers);
    if (key !== 'none' && !headers.has('authorization')) headers.set('authorization', `Bearer ${keys[key]}`);
    if (json !== undefined) headers.set('content-type', 'application/json');
    return fetch(credentials.url + path, {
      ...init,
      headers,
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
  };

  const node: TestNode = {
    ...credentials,
    process: child,
    dataDir,
    output: () => output,
    api,
    call: (name, { key = 'anon', ...init } = {}) => api(`/functions/v1/${name}`, { ...init, key }),
    async deploy(name, code, settings = {}) {
      const answer = await api('/api/v1/functions', { method: 'POST', json: { name, code, ...settings } });
      const body = (await answer.json()) as Record<string, unknown>;
      if (answer.status !== 201)
        throw new Error(`${name} was not deployed: ${answer.status} ${JSON.stringify(body)}`);
      return body;
    },
    async deployFile(file, settings = {}, name = file.replace(/\.\w+$/, '')) {
      const code = await readFile(join(root, 'test/functions', file), 'utf8');
      return await node.deploy(name, code, settings);
    },
    async stop() {
      child.kill('SIGTERM');
      return await exited;
    },
    async remove() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await Promise.race([exited, sleep(10_000)]);
        child.kill('SIGKILL');
        await exited;
      }
      if (options.keepData !== true)
        await rm(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
  return node;
}

/** Waits for a condition, not for a time; the limit is for what never comes true. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  limitMs = 20_000,
  explain: () => string = () => '',
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > end)
      throw new Error(`not true within ${limitMs} ms: ${condition.toString()}\n${explain()}`);
    await sleep(20);
  }
}
