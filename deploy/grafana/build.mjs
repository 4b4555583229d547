// Runs one of the programs in src/, which Node alone cannot read: `node deploy/grafana/build.mjs main.ts`.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const [program = 'main.ts', ...rest] = process.argv.slice(2);
const outfile = join(root, 'node_modules/.cache/hearth', program.replace(/\.ts$/, '.mjs'));
mkdirSync(dirname(outfile), { recursive: true });
await build({
  entryPoints: [join(here, 'src', program)],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  logLevel: 'warning',
});
const { status } = spawnSync(
  process.execPath,
  [outfile, ...(rest.length > 0 ? rest : [join(here, 'dashboards')])],
  { stdio: 'inherit' },
);
process.exit(status ?? 1);
