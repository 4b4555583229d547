// The first call of functions by the size of their bundle: real libraries, bundled as a deploy would.
import { build } from 'esbuild';
import { callOnce, keptAlive } from './client.mjs';
import { deploy, poolIsFull, startHearth } from './peers/hearth.mjs';
import { folder } from './started.mjs';
import { figure, median, quantile } from './statistics.mjs';

const MIDDLE = ['hono', 'jose'];
const LARGE = [...MIDDLE, 'zod', 'zod/v3', 'croner', '@hono/zod-openapi'];
const HUGE = [
  ...LARGE,
  'hono/jsx/dom',
  'hono/css',
  'urlpattern-polyfill',
  '@opentelemetry/api',
  'zod/v4-mini',
];

/** Functions of each size. */
const EACH = 12;

export async function measureBundles() {
  const node = await startHearth(await folder(), { HEARTH_MAX_CODE_BYTES: String(4 * 1024 * 1024) });
  const client = keptAlive(node);
  const figures = {};
  for (const libraries of [[], MIDDLE, LARGE, HUGE]) {
    const code = await bundle(libraries);
    const times = [];
    const names = Array.from({ length: EACH }, (_, n) => `bundle-${libraries.length}-${n}`);
    // Each has a hash of its own, so that none finds what another one left.
    for (const [n, name] of names.entries())
      await deploy(node, name, `${code}\nglobalThis.ownNumber = ${n};`);
    for (const name of names) {
      await poolIsFull(node);
      times.push(await callOnce(client, name));
    }
    const kb = Math.round(code.length / 1000);
    figure('first_call_by_bundle', median(times), 'ms', {
      bundle_kb: kb,
      p99: Math.round(quantile(times, 0.99) * 100) / 100,
      functions: EACH,
    });
    if (libraries === HUGE) figures.hugeP50Ms = median(times);
  }
  client.close();
  await node.stop();
  return figures;
}

async function bundle(libraries) {
  const imports = libraries.map((name, n) => `import * as m${n} from '${name}';`);
  const uses = `globalThis.kept = [${libraries.map((_, n) => `m${n}`)}];`;
  const contents = [...imports, uses, 'export default () => new Response("bundled");'].join('\n');
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['import', 'worker'],
    external: ['node:*'],
    target: 'esnext',
    logLevel: 'error',
  });
  return outputFiles[0].text;
}
