/** One request on a connection of its own, with a path, a method and headers that `fetch` would change or refuse. */
import { request } from 'node:http';

export interface ExactAnswer {
  status: number;
  /** Name (lower case) and value, in the order in which they came. */
  headers: [string, string][];
  header(name: string): string | undefined;
  body: Buffer;
}

export async function exactRequest(
  url: string,
  options: { method?: string; path: string; headers?: Record<string, string | string[]>; body?: Buffer },
): Promise<ExactAnswer> {
  const { hostname, port } = new URL(url);
  const { method = 'GET', path, body } = options;
  // Node leaves it out for methods that have no body as a rule, such as DELETE.
  const length = body === undefined ? {} : { 'content-length': String(body.length) };
  const headers = { ...length, ...options.headers };
  return await new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('error', reject);
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        const pairs: [string, string][] = [];
        for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2)
          pairs.push([(answer.rawHeaders[index] ?? '').toLowerCase(), answer.rawHeaders[index + 1] ?? '']);
        resolve({
          status: answer.statusCode ?? 0,
          headers: pairs,
          header: (name) => pairs.find(([found]) => found === name)?.[1],
          body: Buffer.concat(chunks),
        });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
