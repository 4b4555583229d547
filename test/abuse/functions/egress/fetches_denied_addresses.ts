// Fetches a denied address in every spelling, over every client that speaks HTTP.
import http from 'node:http';
import http2 from 'node:http2';
import { atEachTarget } from '../tries.ts';

export default (request: Request) =>
  atEachTarget(request, async (url) => {
    const ways = [
      async () => await (await fetch(url)).text(),
      async () => await (await fetch(new Request(url, { method: 'POST', body: 'x' }))).text(),
      () =>
        new Promise((resolve, reject) => {
          http.get(url, (answer) => resolve(answer.statusCode)).on('error', reject);
        }),
      () =>
        new Promise((resolve, reject) => {
          const session = http2.connect(url);
          session.on('connect', () => resolve('connected'));
          session.on('error', reject);
        }),
      () =>
        new Promise((resolve, reject) => {
          const source = new EventSource(url);
          source.onopen = () => resolve('open');
          source.onerror = () => {
            source.close();
            reject(new Error('refused'));
          };
        }),
    ];
    return await Promise.any(ways.map(async (way) => await way()));
  });
