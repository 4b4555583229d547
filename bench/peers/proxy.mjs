// (b) The least that a router in Node can be: node:http → undici → a Unix socket → `Deno.serve`, one Node process.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDeno } from '../../dist/pool/deno_binary.js';
import { HELLO } from '../hello.mjs';
import { folder, start } from '../started.mjs';

export async function startProxy() {
  const dir = await folder();
  const file = join(dir, 'serve.js');
  const socket = join(dir, 's.sock');
  await writeFile(
    file,
    `${HELLO}\nDeno.serve({ path: Deno.args[0], onListen: () => console.log('listening') }, hello);\n`,
  );
  const paths = `${dir}`;
  const deno = start(findDeno(), [
    'run',
    '--no-prompt',
    '--no-config',
    '--allow-net',
    `--allow-read=${paths}`,
    `--allow-write=${paths}`,
    file,
    socket,
  ]);
  await deno.says(/listening/);
  const node = start(process.execPath, [fileURLToPath(new URL('proxy_server.mjs', import.meta.url)), socket]);
  const [, port] = await node.says(/port (\d+)/);
  return { url: `http://127.0.0.1:${port}/hello`, headers: {} };
}
