// Reads files in a worker, which has a module loader of its own.
import { atEachTarget } from '../tries.ts';

const source = `
  onmessage = async ({ data: path }) => {
    const ways = [
      async () => (await import('file://' + path, { with: { type: 'text' } })).default,
      () => Deno.readTextFile(path),
      async () => (await import('node:fs')).readFileSync(path, 'utf8'),
    ];
    postMessage(await Promise.any(ways.map(async (way) => await way())).catch((error) => ({ error: String(error.errors) })));
  };`;

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, { type: 'module' });
    try {
      return await new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(event.message));
        };
        worker.postMessage(path);
      });
    } finally {
      worker.terminate();
    }
  });
