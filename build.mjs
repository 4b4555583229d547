// Builds dist/: the Node program with the TypeScript compiler, the Deno runner as one file with esbuild, the console's files.
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(fileURLToPath(import.meta.url));
rmSync(join(root, 'dist'), { recursive: true, force: true });

const typescript = createRequire(import.meta.url).resolve('typescript/package.json');
const tsc = spawnSync(
  process.execPath,
  [join(dirname(typescript), 'bin/tsc'), '-p', join(root, 'tsconfig.json')],
  {
    stdio: 'inherit',
  },
);
if (tsc.status !== 0) process.exit(tsc.status ?? 1);

await build({
  entryPoints: [join(root, 'src/pool/runner/main.ts')],
  outfile: join(root, 'dist/pool/runner.js'),
  bundle: true,
  format: 'esm',
  target: 'esnext',
  platform: 'neutral',
  external: ['node:*'],
  logLevel: 'warning',
});

cpSync(join(root, 'src/console'), join(root, 'dist/console'), { recursive: true });
