// Reads files as WebAssembly: as a module, and through WASI's file system.
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const ways = [
      async () => await WebAssembly.compileStreaming(fetch(`file://${path}`)),
      async () => await import(`file://${path}?x.wasm`),
      async () => {
        const { WASI } = await import('node:wasi');
        const wasi = new WASI({
          version: 'preview1',
          preopens: { '/': path.slice(0, path.lastIndexOf('/')) },
        });
        return Object.keys(wasi.wasiImport);
      },
    ];
    return await Promise.any(ways.map(async (way) => await way()));
  });
