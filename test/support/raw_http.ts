/** One request with Node's own client, which changes nothing on its way: no redirects, no decompression, headers as they came. */
import { request } from 'node:http';

export interface RawRequest {
  method?: string;
  path: string;
  headers?: Record<string, string | string[]>;
  body?: Buffer;
}

export interface RawResponse {
  status: number;
  /** In the order of the answer, names in lower case; one that came twice is there twice. */
  headers: [name: string, value: string][];
  /** The first of that name. */
  header(name: string): string | undefined;
  body: Buffer;
}

export function rawRequest(url: string, options: RawRequest): Promise<RawResponse> {
  const { hostname, port } = new URL(url);
  const { method = 'GET', path, headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(body.length) };
    const outgoing = request(
      { hostname, port, method, path, agent: false, headers: { ...headers, ...length } },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const found: [string, string][] = [];
          for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2)
            found.push([(answer.rawHeaders[index] ?? '').toLowerCase(), answer.rawHeaders[index + 1] ?? '']);
          resolve({
            status: answer.statusCode ?? 0,
            headers: found,
            header: (name) => found.find(([other]) => other === name.toLowerCase())?.[1],
            body: Buffer.concat(chunks),
          });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
