// (a) A bare `Deno.serve` on TCP: the function alone, nothing in front of it.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findDeno } from '../../dist/pool/deno_binary.js';
import { HELLO } from '../hello.mjs';
import { folder, start } from '../started.mjs';

export async function startDenoServe() {
  const file = join(await folder(), 'serve.js');
  await writeFile(
    file,
    `${HELLO}\nDeno.serve({ hostname: '127.0.0.1', port: 0, onListen: ({ port }) => console.log('port', port) }, hello);\n`,
  );
  const deno = start(findDeno(), ['run', '--no-prompt', '--no-config', '--allow-net', file]);
  const [, port] = await deno.says(/port (\d+)/);
  return { url: `http://127.0.0.1:${port}/hello`, headers: {} };
}
