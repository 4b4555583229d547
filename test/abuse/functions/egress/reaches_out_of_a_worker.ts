// Reaches for a denied address in a worker, and has a worker loaded from there.
import { atEachTarget } from '../tries.ts';

async function ran(specifier: string) {
  const worker = new Worker(specifier, { type: 'module' });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
    });
  } finally {
    worker.terminate();
  }
}

export default (request: Request) =>
  atEachTarget(request, async (url) => {
    const source = `postMessage(await fetch('${url}').then((answer) => answer.text(), (error) => ({ error: String(error) })))`;
    try {
      return await ran(`data:text/javascript,${encodeURIComponent(source)}`);
    } catch (error) {
      return await Promise.any([Promise.reject(error), ran(`${url}x.js`), import(`${url}x.js`)]);
    }
  });
