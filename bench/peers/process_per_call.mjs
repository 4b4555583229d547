// (d) The design that Hearth replaces: a small server that runs one `deno run` for each call, 4 at a time.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDeno } from '../../dist/pool/deno_binary.js';
import { HELLO } from '../hello.mjs';
import { folder, start } from '../started.mjs';

const RUN = `const { url, method, headers } = JSON.parse(Deno.env.get('REQUEST'));
const response = await hello(new Request(url, { method, headers }));
console.log(JSON.stringify({
  status: response.status, headers: Object.fromEntries(response.headers), body: await response.text(),
}));
`;

export async function startProcessPerCall() {
  const file = join(await folder(), 'call.js');
  await writeFile(file, `${HELLO}\n${RUN}`);
  const server = fileURLToPath(new URL('process_per_call_server.mjs', import.meta.url));
  const node = start(process.execPath, [server, findDeno(), file]);
  const [, port] = await node.says(/port (\d+)/);
  return { url: `http://127.0.0.1:${port}/hello`, headers: {} };
}
