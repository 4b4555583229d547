// Starts a worker that says which permissions it wants.
import { atEachTarget } from '../tries.ts';

const source = 'onmessage = ({ data }) => postMessage(Deno.readTextFileSync(data));';

export default (request: Request) =>
  atEachTarget(request, async (path) => {
    const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, {
      type: 'module',
      deno: {
        permissions: { read: true, write: true, run: true, ffi: true, sys: true, net: true, env: true },
      },
    });
    try {
      return await new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
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
