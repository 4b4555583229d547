// Starts programs with node:child_process and node:cluster.
import { execSync, fork, spawn, spawnSync } from 'node:child_process';
import cluster from 'node:cluster';
import { tries } from '../tries.ts';

const started = (child: { once(event: string, then: (value: unknown) => void): unknown }) =>
  new Promise((resolve, reject) => {
    child.once('spawn', () => resolve('spawned'));
    child.once('error', reject);
  });
const ranTo = ({ error, status }: { error?: Error; status: number | null }) => {
  if (error !== undefined || typeof status !== 'number') throw error ?? new Error(`status ${status}`);
  return status;
};

export default () =>
  tries({
    exec: () => execSync('true'),
    spawn: () => started(spawn('/bin/true')),
    sync: () => ranTo(spawnSync('/bin/true')),
    shell: () => ranTo(spawnSync('true', { shell: true })),
    fork: () => started(fork('/tmp/x.js')),
    cluster: () => started(cluster.fork()),
    terminal: () => import('node:tty').then(({ ReadStream }) => new ReadStream(5)),
  });
