// (c) workerd, the runtime of Cloudflare Workers, with the function as its one worker and no router.
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { HELLO } from '../hello.mjs';
import { folder, start } from '../started.mjs';

const PACKAGES = {
  'linux x64': 'workerd-linux-64',
  'linux arm64': 'workerd-linux-arm64',
  'darwin x64': 'workerd-darwin-64',
  'darwin arm64': 'workerd-darwin-arm64',
};

const CONFIG = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .hello)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const hello :Workerd.Worker = (
  modules = [(name = "hello.js", esModule = embed "hello.js")],
  compatibilityDate = "2025-01-01",
);
`;

export async function startWorkerd() {
  const dir = await folder();
  await writeFile(join(dir, 'hello.js'), `${HELLO}\nexport default { fetch: hello };\n`);
  await writeFile(join(dir, 'config.capnp'), CONFIG);
  const launcher = createRequire(import.meta.url).resolve('workerd/package.json');
  const platform = PACKAGES[`${process.platform} ${process.arch}`];
  const binary = createRequire(launcher).resolve(`@cloudflare/${platform}/bin/workerd`);
  // It tells the port that it took on the file descriptor that it is given.
  const workerd = start(binary, ['serve', '--control-fd=3', join(dir, 'config.capnp')], {
    pipes: ['pipe', 'pipe', 'pipe'],
  });
  const [, port] = await workerd.says(/"port": ?(\d+)/);
  return { url: `http://127.0.0.1:${port}/hello`, headers: {} };
}
