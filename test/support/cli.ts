/** The command line as its users run it: `node dist/cli.js`, with what it wrote and its exit status. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { root } from './node.js';

export interface CliRun {
  status: number;
  stdout: string;
  stderr: string;
}

/** With these variables alone. Killed after 30 s. */
export function runCli(args: string[], env: Record<string, string> = {}, cwd = root): Promise<CliRun> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, 'dist/cli.js'), ...args],
      { cwd, env: { PATH: process.env.PATH ?? '', ...env }, timeout: 30_000, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ status, stdout, stderr });
      },
    );
  });
}
