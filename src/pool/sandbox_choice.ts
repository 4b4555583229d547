/** Which walls work on this machine: each kind is tried for real, from the strongest down. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../errors.js';
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

/** The strongest sandbox that works here, of the kind that was asked for; null if that one does not work. */
export async function chooseSandbox(options: SandboxOptions): Promise<Sandbox | null> {
  const { asked, tools } = options;
  let trials = 0;
  let why = asked === 'permissions' ? 'as HEARTH_SANDBOX asks' : '';
  if (asked !== 'permissions' && tools.bwrap === null) why = 'bubblewrap (bwrap) is not installed';
  const kinds: SandboxKind[] =
    why === '' ? (asked === 'auto' ? ['bwrap', 'permissions'] : ['bwrap']) : ['permissions'];
  if (asked === 'bwrap' && why !== '') return null;

  for (const kind of kinds) {
    const users = mayGiveUsers(tools);
    let failure = '';
    for (const alone of users ? [true, false] : [false]) {
      const sandbox = await build(kind, alone, options).catch((error: unknown) => messageOf(error));
      // Without walls of its own a process of the node's user is what every machine can run.
      const unproven = kind === 'permissions' && !alone;
      const problem =
        typeof sandbox === 'string'
          ? sandbox
          : unproven
            ? null
            : await attempt(sandbox, options.runDir, --trials);
      if (problem === null && typeof sandbox !== 'string') {
        const works = kind === 'bwrap' ? 'bubblewrap works here' : why;
        return { ...sandbox, reason: alone ? `${works}; each process has a user id of its own` : works };
      }
      failure ||= problem ?? '';
    }
    why = `bubblewrap does not work here (${failure})`;
  }
  return null;
}

function mayGiveUsers(tools: SandboxTools): boolean {
  return process.getuid?.() === 0 && tools.setpriv !== null;
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

/** Starts a process behind these walls, and ends it: what keeps either from working, or null. */
async function attempt(sandbox: Sandbox, runDir: string, id: number): Promise<string | null> {
  try {
    const trial = await spawnDeno({
      id,
      runDir,
      sandbox,
      memoryMb: 128,
      net: true,
      readyTimeoutMs: TRIAL_MS,
    });
    trial.kill('shutdown');
    const ended = await Promise.race([trial.ended, sleep(TRIAL_MS, null, { ref: false })]);
    return ended === null ? 'its processes cannot be ended' : null;
  } catch (error) {
    return messageOf(error).trim().split('\n').at(-1) ?? 'it does not start';
  }
}
