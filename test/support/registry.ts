/** A stand-in for the npm and the jsr registry on loopback: packages that a test publishes, and what was asked for. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

export interface Registry {
  /** What makes Deno ask it and nobody else. */
  env: { NPM_CONFIG_REGISTRY: string; JSR_URL: string };
  url: string;
  /** Paths that were asked for, oldest first. */
  requests: string[];
  /** An npm package's version, in place of one that is there. `manifest` goes into its package.json. */
  npm(name: string, version: string, files: Record<string, string>, manifest?: object): void;
  /** The same, with a checksum in the registry's list that is another tarball's. */
  npmTampered(name: string, version: string, files: Record<string, string>): void;
  /** A jsr package's version whose `mod.ts` is its entry; `name` is `@scope/name`. */
  jsr(name: string, version: string, files: Record<string, string>): void;
  /** Answers a path by hand. */
  on(path: string, answer: (request: IncomingMessage, response: ServerResponse) => void): void;
  stop(): Promise<void>;
}

interface Dist {
  tarball: string;
  integrity: string;
  shasum: string;
}

export async function startRegistry(): Promise<Registry> {
  const requests: string[] = [];
  const bodies = new Map<string, () => string | Buffer>();
  const handlers = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    requests.push(path);
    const handler = handlers.get(path);
    if (handler !== undefined) return handler(request, response);
    const body = bodies.get(path);
    if (body === undefined) return response.writeHead(404).end('{"error":"not found"}');
    response.end(body());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const packages = new Map<string, Map<string, object>>();
  const modules = new Map<string, Set<string>>();

  function publish(
    name: string,
    version: string,
    files: Record<string, string>,
    manifest: object,
    tamper: boolean,
  ) {
    const packageJson = { name, version, main: 'index.js', ...manifest };
    const tarball = tar({ 'package.json': JSON.stringify(packageJson), ...files });
    const listed = tamper ? tar({ 'index.js': '// another' }) : tarball;
    const path = `/${name}/-/${name.split('/').at(-1)}-${version}.tgz`;
    const dist: Dist = {
      tarball: url + path,
      integrity: `sha512-${createHash('sha512').update(listed).digest('base64')}`,
      shasum: createHash('sha1').update(listed).digest('hex'),
    };
    const versions = packages.get(name) ?? new Map<string, object>();
    versions.set(version, { ...packageJson, dist });
    packages.set(name, versions);
    bodies.set(path, () => tarball);
    bodies.set(`/${name}`, () =>
      JSON.stringify({
        name,
        'dist-tags': { latest: [...versions.keys()].at(-1) },
        versions: Object.fromEntries(versions),
      }),
    );
  }

  return {
    url,
    env: { NPM_CONFIG_REGISTRY: `${url}/`, JSR_URL: `${url}/` },
    requests,
    npm: (name, version, files, manifest = {}) => publish(name, version, files, manifest, false),
    npmTampered: (name, version, files) => publish(name, version, files, {}, true),
    jsr(name, version, files) {
      const versions = modules.get(name) ?? new Set<string>();
      versions.add(version);
      modules.set(name, versions);
      const [scope = '', short = ''] = name.slice(1).split('/');
      const listed = Object.fromEntries([...versions].map((each) => [each, {}]));
      bodies.set(`/${name}/meta.json`, () =>
        JSON.stringify({ scope, name: short, latest: [...versions].at(-1), versions: listed }),
      );
      const manifest = Object.fromEntries(
        Object.entries(files).map(([file, text]) => [
          `/${file}`,
          { size: text.length, checksum: `sha256-${createHash('sha256').update(text).digest('hex')}` },
        ]),
      );
      bodies.set(`/${name}/${version}_meta.json`, () =>
        JSON.stringify({ manifest, exports: { '.': './mod.ts' } }),
      );
      for (const [file, text] of Object.entries(files)) bodies.set(`/${name}/${version}/${file}`, () => text);
    },
    on: (path, answer) => void handlers.set(path, answer),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A gzipped tar archive (POSIX ustar) with the files below `package/`, as npm has them. */
function tar(files: Record<string, string>): Buffer {
  const blocks: Buffer[] = [];
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    const header = Buffer.alloc(512);
    header.write(`package/${name}`, 0);
    header.write('0000644\0', 100);
    header.write('0000000\0', 108);
    header.write('0000000\0', 116);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write('0', 156);
    header.write('ustar\0', 257);
    header.write('00', 263);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    blocks.push(header, content, Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}
