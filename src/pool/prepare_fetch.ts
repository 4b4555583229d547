/** The second step of a deploy: Deno fetches the `npm:`, `jsr:` and `https:` imports and bundles them in. */
import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HearthError } from '../errors.js';
import { invalid } from './prepare_errors.js';
import { createQueue } from './prepare_queue.js';
import { findTools } from './sandbox.js';

export type Fetched = { kind: 'ok'; text: string } | { kind: 'failed'; failing: Map<string, string> };

interface FetchOptions {
  denoPath: string;
  cacheDir: string;
  env: Readonly<Record<string, string | undefined>>;
  maxBundleBytes: number;
  timeoutMs: number;
}

/** Settings of the node that decide where packages come from and whom to trust; nothing else reaches Deno. */
const KEPT = [
  ...['PATH', 'NPM_CONFIG_REGISTRY', 'JSR_URL', 'DENO_CERT', 'DENO_TLS_CA_STORE', 'DENO_AUTH_TOKENS'],
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'],
];
/** Deno's own default for --allow-import (2.9), for the sentence that refuses other hosts. */
const IMPORT_HOSTS = 'jsr.io, deno.land, esm.sh, cdn.jsdelivr.net, raw.githubusercontent.com';
const STDERR_BYTES = 64 * 1024;

/** Two runs at a time, 32 wait. What it makes has the imports inside; a failing import comes with what to say of it. */
export function createFetcher(options: FetchOptions) {
  const queue = createQueue({ concurrency: 2, waiting: 32 });
  return (text: string, external: string[]): Promise<Fetched> =>
    queue.run(() => fetchImports(text, external, options));
}

async function fetchImports(text: string, external: string[], options: FetchOptions): Promise<Fetched> {
  await mkdir(options.cacheDir, { recursive: true });
  // Inside the cache, so that the paths that Deno writes into the bundle are the same on every machine.
  const folder = await mkdtemp(join(options.cacheDir, 'bundle-'));
  try {
    await writeFile(join(folder, 'entry.js'), text);
    const home = options.env.HOME;
    if (home !== undefined) await copyIfThere(join(home, '.npmrc'), join(folder, '.npmrc'));
    const run = await denoBundle(folder, options);
    if (run.kind === 'timeout') {
      const seconds = Math.round(options.timeoutMs / 1000);
      throw invalid([
        { message: `The imports could not be fetched within ${seconds} seconds: ${external.join(', ')}` },
      ]);
    }
    if (run.code !== 0) return explain(run.stderr, text, external);
    const out = join(folder, 'out.js');
    const { size } = await stat(out);
    // Deno's map still holds the packages' sources, which are dropped below: hence the wider bound here.
    if (size > options.maxBundleBytes * 4) {
      throw new HearthError(
        'TOO_LARGE',
        `The function with its imports is over ${options.maxBundleBytes} bytes`,
        {
          details: [{ field: 'code', message: `may have ${options.maxBundleBytes} bytes with its imports` }],
        },
      );
    }
    return { kind: 'ok', text: await readFile(out, 'utf8') };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function copyIfThere(from: string, to: string) {
  try {
    await copyFile(from, to);
  } catch (error) {
    // Most homes have none, and one that cannot be read is as good as none.
    if (
      !(
        error instanceof Error &&
        'code' in error &&
        ['ENOENT', 'EACCES', 'ENOTDIR'].includes(String(error.code))
      )
    ) {
      throw error;
    }
  }
}

type Run = { kind: 'exit'; code: number | null; stderr: string } | { kind: 'timeout' };

function denoBundle(folder: string, options: FetchOptions): Promise<Run> {
  const env: Record<string, string> = {
    HOME: folder,
    DENO_DIR: options.cacheDir,
    NO_COLOR: '1',
    DENO_NO_UPDATE_CHECK: '1',
  };
  for (const name of KEPT) {
    const value = options.env[name];
    if (value !== undefined) env[name] = value;
  }
  const flags = [
    '--platform',
    'deno',
    '--no-lock',
    '--no-config',
    '--node-modules-dir=none',
    '--sourcemap',
    'inline',
  ];
  return new Promise((resolve, reject) => {
    const { setpriv } = findTools(options.env.PATH);
    const bundle = [options.denoPath, 'bundle', ...flags, '-o', 'out.js', 'entry.js'];
    // Where it can be had: it ends with us, even when we are killed.
    const [command = '', ...args] =
      setpriv === null ? bundle : [setpriv, '--pdeathsig', 'KILL', '--', ...bundle];
    const child = spawn(command, args, {
      cwd: folder,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true, // a group of its own: it starts an esbuild that must end with it
    });
    let stderr = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, options.timeoutMs);
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      if (stderr.length < STDERR_BYTES) stderr += chunk;
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(timedOut ? { kind: 'timeout' } : { kind: 'exit', code, stderr });
    });
  });
}

/** Deno names its error's place in the module that step one made: the import that stands there is the failing one. */
function explain(stderr: string, text: string, external: string[]): Fetched {
  const failing = new Map<string, string>();
  const lines = text.split('\n');
  for (const [, message = '', file = '', line = '', column = ''] of stderr.matchAll(
    /error: (.*)\n\s+at (\S+):(\d+):(\d+)/g,
  )) {
    const own = file.endsWith('/entry.js');
    const specifier = own ? nearest(lines[Number(line) - 1] ?? '', Number(column), external) : undefined;
    if (specifier !== undefined) failing.set(specifier, describe(specifier, message));
  }
  if (failing.size > 0) return { kind: 'failed', failing };
  const mentioned = external.filter((specifier) => stderr.includes(specifier));
  const [only] = mentioned.length > 0 ? mentioned : external;
  if (/error sending request|client error|dns error/.test(stderr) && !only?.startsWith('https:')) {
    throw new HearthError('UNAVAILABLE', 'The package registry cannot be reached', {
      retryAfter: 30,
      cause: stderr,
    });
  }
  if (only !== undefined && (mentioned.length === 1 || external.length === 1)) {
    return {
      kind: 'failed',
      failing: new Map([[only, `Cannot load "${only}": it cannot be fetched or bundled`]]),
    };
  }
  throw invalid([{ message: `One of the imports cannot be fetched or bundled: ${external.join(', ')}` }]);
}

function nearest(line: string, column: number, external: string[]): string | undefined {
  const distance = (specifier: string) => Math.abs(line.indexOf(JSON.stringify(specifier)) - column);
  return external
    .filter((specifier) => line.includes(JSON.stringify(specifier)))
    .sort((a, b) => distance(a) - distance(b))[0];
}

function describe(specifier: string, message: string): string {
  const start = `Cannot load "${specifier}"`;
  if (message.includes('--allow-import')) return `${start}: modules are fetched from ${IMPORT_HOSTS} only`;
  if (specifier.startsWith('npm:')) {
    if (/find constraint|npm package .* does not exist/.test(message)) {
      return `${start}: the npm registry has no such package or version`;
    }
    if (message.startsWith('Could not resolve')) return `${start}: the package has no such file`;
  }
  if (specifier.startsWith('jsr:'))
    return `${start}: the jsr registry has no such package or version, or is out of reach`;
  return `${start}: it cannot be fetched`;
}
