// What the benchmark has started: programs and folders, all gone at the end, also after Ctrl-C.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const STOP_MS = 15_000;
const running = new Set();
const folders = new Set();
let stopping = false;

/** A program in a group of its own, so that Ctrl-C is for the benchmark alone, which then stops it. */
export function start(command, args, { env, pipes = ['pipe', 'pipe'] } = {}) {
  if (stopping) throw new Error('the benchmark is stopping');
  const child = spawn(command, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', ...pipes],
    detached: true,
  });
  const exited = new Promise((resolve) => {
    child.once('exit', resolve);
    child.once('error', resolve);
  });
  let output = '';
  for (const stream of child.stdio.slice(1)) {
    stream?.setEncoding('utf8').on('data', (text) => {
      output = (output + text).slice(-128 * 1024);
    });
  }
  const program = {
    pid: child.pid,
    output: () => output,
    /** Resolves with the match as soon as the output has it. */
    async says(pattern, limitMs = 60_000) {
      const end = Date.now() + limitMs;
      for (;;) {
        const match = pattern.exec(output);
        if (match !== null) return match;
        if (child.exitCode !== null || child.pid === undefined || Date.now() > end)
          throw new Error(`${command} did not say ${pattern}:\n${output}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    exited,
    async stop() {
      running.delete(program);
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await exited;
      clearTimeout(timer);
    },
  };
  running.add(program);
  return program;
}

export async function folder() {
  const path = await mkdtemp(join(tmpdir(), 'hearth-bench-'));
  folders.add(path);
  return path;
}

/** A port that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Whether what fails now does so because everything is being stopped. */
export const isStopping = () => stopping;

export async function stopAll() {
  stopping = true;
  await Promise.all([...running].map((program) => program.stop()));
  for (const path of folders)
    await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

export function stopOnSignals() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(signal, () => void stopAll().finally(() => process.exit(130)));
}
