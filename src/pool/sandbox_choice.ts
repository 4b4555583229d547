/** Which walls work on this machine: each kind is tried for real, from the strongest down. */
import { readFileSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, StartError } from '../errors.js';
import { spawnDeno } from './process.js';
import type { Sandbox, SandboxKind, SandboxTools } from './sandbox.js';
import { makeSandboxRoot, reachableByAll } from './sandbox_root.js';
import { type SocketFamily, socketFilter } from './socket_filter.js';
import { createUserIds } from './user_ids.js';

export interface SandboxOptions {
  asked: 'auto' | SandboxKind;
  tools: SandboxTools;
  denoPath: string;
  runnerPath: string;
  /** The node's own folder; what the processes share is made in it. */
  runDir: string;
  /** Addresses that no function reaches: values of `--deny-net`. */
  denyNet: readonly string[];
  /** Whether functions may speak IPv6. */
  ipv6: boolean;
}

/** How long a process that was only a trial may take to start, and to end, in ms. */
const TRIAL_MS = 10_000;

/** The strongest sandbox that works here. Throws a StartError when bubblewrap was asked for and does not work. */
export async function chooseSandbox(options: SandboxOptions): Promise<Sandbox> {
  if (options.asked === 'permissions') return await permissions('as HEARTH_SANDBOX asks', options);
  const missing = options.tools.bwrap === null;
  const found = missing ? 'bubblewrap (bwrap) is not installed' : await strongest('bwrap', options);
  if (typeof found !== 'string') return told(found, 'bubblewrap works here');
  const why = missing ? found : `bubblewrap does not work here (${found})`;
  if (options.asked === 'bwrap') {
    throw new StartError(
      `HEARTH_SANDBOX asks for bwrap, but ${why}: install it, allow user namespaces, or set it to auto`,
    );
  }
  return await permissions(why, options);
}

async function permissions(why: string, options: SandboxOptions): Promise<Sandbox> {
  const found = await strongest('permissions', options);
  // A process of the node's own user, with no wall to build, works wherever Deno does.
  return told(typeof found === 'string' ? await build('permissions', false, options) : found, why);
}

function told(sandbox: Sandbox, why: string): Sandbox {
  return {
    ...sandbox,
    reason: sandbox.users === null ? why : `${why}; each process has a user id of its own`,
  };
}

/** Of one kind: with a user id for each process, if this node may give them out; or else why it does not work. */
async function strongest(kind: SandboxKind, options: SandboxOptions): Promise<Sandbox | string> {
  const mayGive = process.getuid?.() === 0 && (kind === 'bwrap' || options.tools.setpriv !== null);
  let failure = 'not as root';
  for (const alone of mayGive ? [true, false] : [false]) {
    if (kind === 'permissions' && !alone) break;
    try {
      const sandbox = await build(kind, alone, options);
      await attempt(sandbox, options.runDir, alone ? -1 : -2);
      return sandbox;
    } catch (error) {
      failure = messageOf(error).trim().split('\n').at(-1) ?? '';
    }
  }
  return failure;
}

/** `alone`: every process has a user id of its own. */
async function build(kind: SandboxKind, alone: boolean, options: SandboxOptions): Promise<Sandbox> {
  const { tools, runDir, denyNet } = options;
  const shared = join(runDir, `${kind}${alone ? '-users' : ''}`);
  await mkdir(shared);
  if (alone) {
    await chmod(runDir, 0o711);
    await chmod(shared, 0o755);
  }
  const sandbox: Sandbox = {
    kind,
    tools,
    reason: '',
    denoPath: alone ? await reachableByAll(options.denoPath, shared) : options.denoPath,
    runnerPath: alone ? await reachableByAll(options.runnerPath, shared) : options.runnerPath,
    root: null,
    filters: null,
    denyNet,
    users: alone ? createUserIds(process.pid) : null,
  };
  if (kind === 'permissions') return sandbox;
  const root = join(shared, 'root');
  await makeSandboxRoot(root, {
    denoPath: options.denoPath,
    runnerPath: options.runnerPath,
    prlimit: tools.prlimit,
  });
  const families: SocketFamily[] = ['unix', 'ipv4', ...(options.ipv6 ? (['ipv6'] as const) : [])];
  return { ...sandbox, root, filters: await writeFilters(shared, families) };
}

async function writeFilters(dir: string, families: SocketFamily[]): Promise<Sandbox['filters']> {
  const net = socketFilter(process.arch, families);
  const none = socketFilter(process.arch, ['unix']);
  if (net === null || none === null) return null;
  const paths = { net: join(dir, 'net.bpf'), none: join(dir, 'none.bpf') };
  await writeFile(paths.net, net);
  await writeFile(paths.none, none);
  return paths;
}

/** Starts a process behind these walls, and ends it. Throws what keeps either from working. */
async function attempt(sandbox: Sandbox, runDir: string, id: number): Promise<void> {
  const trial = await spawnDeno({
    id,
    runDir,
    sandbox,
    memoryMb: 128,
    net: true,
    readyTimeoutMs: TRIAL_MS,
    runnerCache: null,
  });
  const rights = sandbox.users === null ? null : tooManyRights(trial.pid);
  trial.kill('shutdown');
  const ended = await Promise.race([trial.ended, sleep(TRIAL_MS, null, { ref: false })]);
  if (ended === null) throw new Error('its processes cannot be ended');
  if (rights !== null) throw new Error(rights);
}

/** What a process with a user id of its own has kept of the node's rights (proc(5)); null: nothing, or nobody can tell. */
function tooManyRights(pid: number | null): string | null {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return null; // it has ended, or there is no /proc
  }
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(status)?.[1] ?? '';
  if (field('Groups') !== '') return 'its processes keep groups of the node';
  const capabilities = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].map(field);
  return capabilities.some((bits) => /[1-9a-f]/.test(bits)) ? 'its processes keep capabilities' : null;
}
