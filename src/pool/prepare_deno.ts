/** Runs Deno for a deploy: it fetches and reads what strangers wrote, so it sees its cache and its folder, and nothing else. */
import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { bytesBelow } from './import_cache.js';
import { findTools, type Sandbox } from './sandbox.js';
import { INSIDE } from './sandbox_root.js';

export interface DenoOptions {
  denoPath: string;
  /** DENO_DIR. */
  cacheDir: string;
  /** The walls of this machine; null: none but those of the node's own user. */
  sandbox: Sandbox | null;
  env: Readonly<Record<string, string | undefined>>;
  /** The esbuild that this Deno bundles with; null: Deno gets it from the npm registry. */
  esbuildPath: string | null;
  /** Bytes that one deploy may fetch. */
  maxFetchBytes: number;
}

export type DenoRun =
  | { kind: 'exit'; code: number | null; stderr: string }
  | { kind: 'timeout' }
  | { kind: 'too-large' };

/** Below DENO_DIR: a folder for each deploy under way, so that Deno names modules in the same way wherever it runs. */
export const FOLDERS = 'bundles';
/** What a deploy's own folder is called where it is the only one to be seen. */
const OWN = 'own';

/** Settings of the node that decide where packages come from and whom to trust; nothing else reaches Deno. */
const KEPT = [
  ...['PATH', 'NPM_CONFIG_REGISTRY', 'JSR_URL', 'DENO_CERT', 'DENO_TLS_CA_STORE', 'DENO_AUTH_TOKENS'],
  ...['SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'],
];
const CERTIFICATES = ['DENO_CERT', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'];
/** What names resolve by, and the machine's certificates (Debian's place, and Red Hat's). */
const OF_THE_MACHINE = [
  ...['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf'],
  ...['/etc/ssl/certs', '/etc/ssl/cert.pem', '/etc/pki/tls/certs', '/etc/pki/ca-trust/extracted/pem'],
];
const STDERR_BYTES = 64 * 1024;
const WATCH_MS = 1_000;
const MIB = 1024 * 1024;
/** MiB: of data segment, V8's reserve included, and of one file. */
const LIMITS = [`--data=${3072 * MIB}`, `--fsize=${512 * MIB}`, '--core=0'];

export interface DenoPlaces {
  /** DENO_DIR. */
  denoDir: string;
  /** The deploy's own folder. */
  folder: string;
}

/** The paths as Deno sees them. */
export function placesOf(folder: string, { cacheDir, sandbox }: DenoOptions): DenoPlaces {
  if (sandbox?.kind !== 'bwrap') return { denoDir: cacheDir, folder };
  return { denoDir: INSIDE.denoDir, folder: join(INSIDE.denoDir, FOLDERS, OWN) };
}

export interface RunLimits {
  /** ms, at least 1. */
  timeoutMs: number;
  /** Bytes of the cache before anything was fetched for this deploy. */
  bytesBefore: number | Promise<number>;
}

/** @param folder the deploy's own, below `<cacheDir>/bundles`: Deno's working directory and home. */
export async function runDeno(
  args: string[],
  folder: string,
  options: DenoOptions,
  limits: RunLimits,
): Promise<DenoRun> {
  const { command, env, cwd } = await launch(args, folder, options);
  return await new Promise((resolve, reject) => {
    const child = spawn(command[0] ?? '', command.slice(1), {
      cwd,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true, // a group of its own: it starts an esbuild that must end with it
    });
    let stderr = '';
    let ended: Exclude<DenoRun['kind'], 'exit'> | null = null;
    const end = (why: typeof ended) => {
      ended ??= why;
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    };
    const timer = setTimeout(end, limits.timeoutMs, 'timeout');
    const watch = setInterval(async () => {
      const bytes = await bytesBelow(options.cacheDir);
      if (bytes - (await limits.bytesBefore) > options.maxFetchBytes) end('too-large');
    }, WATCH_MS);
    const settle = () => {
      clearTimeout(timer);
      clearInterval(watch);
    };
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      if (stderr.length < STDERR_BYTES) stderr += chunk;
    });
    child.on('error', (error) => {
      settle();
      reject(error);
    });
    child.on('close', (code) => {
      settle();
      resolve(ended === null ? { kind: 'exit', code, stderr } : { kind: ended });
    });
  });
}

interface Launch {
  command: string[];
  env: Record<string, string>;
  cwd: string;
}

async function launch(args: string[], folder: string, options: DenoOptions): Promise<Launch> {
  const { sandbox } = options;
  const places = placesOf(folder, options);
  const env: Record<string, string> = {
    HOME: places.folder,
    DENO_DIR: places.denoDir,
    NO_COLOR: '1',
    DENO_NO_UPDATE_CHECK: '1',
  };
  for (const name of KEPT) {
    const value = options.env[name];
    if (value !== undefined) env[name] = value;
  }
  const command: string[] = [];
  if (sandbox?.kind === 'bwrap' && sandbox.tools.bwrap !== null && sandbox.root !== null) {
    command.push(
      sandbox.tools.bwrap,
      ...(await walls(sandbox.root, sandbox.denoPath, folder, options)),
      '--',
    );
    if (sandbox.tools.prlimit !== null) command.push(INSIDE.prlimit, ...LIMITS, '--');
    command.push(INSIDE.deno);
  } else {
    const { setpriv, prlimit } = findTools(options.env.PATH);
    // Where it can be had: it ends with us, even when we are killed.
    if (setpriv !== null) command.push(setpriv, '--pdeathsig', 'KILL', '--');
    if (prlimit !== null) command.push(prlimit, ...LIMITS, '--');
    command.push(options.denoPath);
  }
  return { command: [...command, ...args], env, cwd: folder };
}

/** Not those of a function: it has the node's network, certificates and proxies, and no code of anyone's runs in it. */
async function walls(root: string, deno: string, folder: string, options: DenoOptions) {
  const places = placesOf(folder, options);
  const own = [INSIDE.deno, INSIDE.runner, '/etc', '/fn', '/proc', '/tmp', '/dev'];
  const shared = (await readdir(root)).map((name) => `/${name}`).filter((path) => !own.includes(path));
  const certificates = CERTIFICATES.map((name) => options.env[name] ?? '').filter(isAbsolute);
  return [
    ...['--die-with-parent', '--new-session', '--unshare-user', '--unshare-pid', '--unshare-ipc'],
    ...['--unshare-uts', '--unshare-cgroup-try', '--cap-drop', 'ALL', '--hostname', 'hearth'],
    // Not a /dev of its own, nor a /proc: containers refuse to mount those.
    ...['--dev-bind', '/dev/null', '/dev/null', '--size', `${64 * MIB}`, '--tmpfs', '/tmp'],
    ...shared.flatMap((path) => ['--ro-bind', join(root, path), path]),
    ...[...OF_THE_MACHINE, ...certificates].flatMap((path) => ['--ro-bind-try', path, path]),
    ...['--ro-bind', deno, INSIDE.deno, '--dir', '/proc/self', '--symlink', INSIDE.deno, '/proc/self/exe'],
    ...['--bind', options.cacheDir, places.denoDir, '--tmpfs', join(places.denoDir, FOLDERS)],
    // The program that Deno runs in there.
    ...(options.esbuildPath === null
      ? []
      : ['--ro-bind', join(options.cacheDir, 'dl'), join(places.denoDir, 'dl')]),
    ...['--bind', folder, places.folder, '--chdir', places.folder],
  ];
}
