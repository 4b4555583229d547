/** The web console's files: read once, when the router starts, and served from memory. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';

export interface ConsoleFiles {
  /** Answers a request for `/console` or what lies below it; false when there is no such file or method. */
  answer(incoming: IncomingMessage, outgoing: ServerResponse, path: string, requestId: string): boolean;
}

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Nothing but the console's own files, and requests to this node alone. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface File {
  body: Buffer;
  etag: string;
  headers: readonly string[];
}

/** Rejects when the folder cannot be read: the build puts it there. */
export async function loadConsole(folder: string): Promise<ConsoleFiles> {
  const files = new Map<string, File>();
  for (const name of await readdir(folder)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const file = toFile(await readFile(join(folder, name)), type);
    files.set(`/console/${name}`, file);
    if (name === 'index.html') files.set('/console', file).set('/console/', file);
  }

  return {
    answer(incoming, outgoing, path, requestId) {
      const query = path.indexOf('?');
      const file = files.get(query < 0 ? path : path.slice(0, query));
      if (file === undefined || (incoming.method !== 'GET' && incoming.method !== 'HEAD')) return false;
      const headers = [...file.headers, 'x-request-id', requestId];
      if (isKnown(incoming.headers['if-none-match'], file.etag)) {
        outgoing.writeHead(304, headers).end();
        return true;
      }
      outgoing.writeHead(200, [...headers, 'content-length', String(file.body.length)]);
      outgoing.end(incoming.method === 'HEAD' ? undefined : file.body);
      return true;
    },
  };
}

function toFile(body: Buffer, type: string): File {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`;
  const headers = [
    ...['content-type', type, 'etag', etag],
    // Asked about each time, and sent only when it has changed: an upgraded node has its new console at once.
    ...['cache-control', 'no-cache'],
    ...['content-security-policy', POLICY, 'x-content-type-options', 'nosniff'],
    ...['referrer-policy', 'no-referrer', 'cross-origin-opener-policy', 'same-origin'],
  ];
  return { body, etag, headers };
}

/** If-None-Match compares weakly (RFC 9110, 13.1.2). */
function isKnown(given: string | undefined, etag: string): boolean {
  if (given === undefined) return false;
  return given.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag || tag.trim() === '*');
}
