// Fetches an address that is allowed, and is sent on to one that is not.
import { tries } from '../tries.ts';

export default async (request: Request) => {
  const { redirecting } = await request.json();
  return await tries({
    fetch: async () => await (await fetch(redirecting)).text(),
    post: async () => await (await fetch(redirecting, { method: 'POST', body: 'x' })).text(),
    import: () => import(`${redirecting}x.js`),
    source: () =>
      new Promise((resolve, reject) => {
        const source = new EventSource(redirecting);
        source.onopen = () => resolve('open');
        source.onerror = () => {
          source.close();
          reject(new Error('refused'));
        };
      }),
  });
};
