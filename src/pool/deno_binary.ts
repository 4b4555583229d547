/** The Deno binary of the npm package `deno`, used directly: its launcher would be one process more for each. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { StartError } from '../errors.js';

/** npm's platform packages, by Node's names of platform and architecture. */
const PACKAGES: Record<string, string> = {
  'linux x64': '@deno/linux-x64-glibc',
  'linux arm64': '@deno/linux-arm64-glibc',
  'darwin x64': '@deno/darwin-x64',
  'darwin arm64': '@deno/darwin-arm64',
};

/** Throws a StartError where the package does not bring a binary for this machine. */
export function findDeno(): string {
  const name = PACKAGES[`${process.platform} ${process.arch}`];
  if (name === undefined) throw new StartError(`there is no Deno for ${process.platform} on ${process.arch}`);
  try {
    const launcher = createRequire(import.meta.url).resolve('deno/package.json');
    const path = join(dirname(createRequire(launcher).resolve(`${name}/package.json`)), 'deno');
    if (existsSync(path)) return path;
  } catch {
    // The platform's package was left out of the install.
  }
  throw new StartError(`the package ${name} is not installed: run npm ci without --omit=optional`);
}

/** Deno's version, such as `2.9.6`. */
export function denoVersion(): string {
  const path = createRequire(import.meta.url).resolve('deno/package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/** What V8's code caches depend on besides the code: Deno's version and what it is built for. */
export function denoEngine(): string {
  return `deno-${denoVersion()}-${process.platform}-${process.arch}`;
}

/**
 * The esbuild that Deno 2.9.6 bundles with, of the version that it asks for: by itself it would download the program from
 * the npm registry at the first deploy with imports, by no checksum of ours. Null where the package brings none.
 */
export function findDenoEsbuild(): string | null {
  try {
    const esbuild = createRequire(import.meta.url).resolve('deno-esbuild/package.json');
    return createRequire(esbuild).resolve(`@esbuild/${process.platform}-${process.arch}/bin/esbuild`);
  } catch {
    return null; // the platform's package was left out of the install
  }
}
