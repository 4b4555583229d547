// What was measured, on what: the first line of the output.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, totalmem } from 'node:os';
import { findDeno } from '../dist/pool/deno_binary.js';
import { print } from './statistics.mjs';

export function printVersions(options) {
  const require = createRequire(import.meta.url);
  const version = (path) => JSON.parse(readFileSync(path, 'utf8')).version;
  print({
    figure: 'versions',
    date: new Date().toISOString().slice(0, 10),
    hearth: version(new URL('../package.json', import.meta.url)),
    node: process.versions.node,
    deno: execFileSync(findDeno(), ['--version'], { encoding: 'utf8' }).split(' ')[1],
    workerd: version(require.resolve('workerd/package.json')),
    cpu: cpus()[0]?.model.trim(),
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    ...options,
  });
}
