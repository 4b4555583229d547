/** A start of Hearth that is expected to end: with what it wrote to each stream, and its exit status. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from './node.js';

export interface Run {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  /** What stands before `node dist/main.js`, such as `setpriv …`. */
  prefix?: string[];
}

/** `dist/main.js` with these settings alone, and ports of its own unless told otherwise. Killed after 40 s. */
export function runToEnd(env: Record<string, string>, options: RunOptions = {}): Promise<Run> {
  const [command = '', ...args] = [...(options.prefix ?? []), process.execPath, join(root, 'dist/main.js')];
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      HEARTH_PORT: '0',
      HEARTH_METRICS_PORT: '0',
      HEARTH_ROUTERS: '1',
      HEARTH_POOL_SIZE: '1',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 40_000,
    killSignal: 'SIGKILL',
  });
  const run: Run = { status: null, signal: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    run.stdout += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    run.stderr += String(chunk);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ ...run, status, signal }));
  });
}
