import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Connection, type ConnectionRequest } from './connection.js';

let dir: string;
let path: string;
let server: Server;
/** What the peer does with each connection. */
let serve: (socket: Socket) => void;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hearth-test-'));
  path = join(dir, 's');
  server = createServer((socket) => {
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
});

afterEach(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const GET: ConnectionRequest = { method: 'GET', target: 'http://a/b', headers: ['host', 'a'], body: null };

interface Answer {
  status: number;
  headers: string[];
  length: number | null;
  body: string;
}

function send(connection: Connection, request = GET): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const answer: Answer = { status: 0, headers: [], length: null, body: '' };
    connection.send(request, {
      onHeaders: (status, headers, length) => Object.assign(answer, { status, headers, length }),
      onData: (chunk) => {
        answer.body += chunk.toString('latin1');
        return true;
      },
      onComplete: () => resolve(answer),
      onError: reject,
    });
  });
}

/** Answers each request with these bytes, one at a time. */
const bytewise = (text: string) => (socket: Socket) => {
  socket.on('data', async () => {
    for (const byte of Buffer.from(text, 'latin1')) {
      if (socket.destroyed) return;
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
};
const atOnce = (text: string) => (socket: Socket) => socket.on('data', () => socket.write(text, 'latin1'));

describe.each([
  ['byte by byte', bytewise],
  ['at once', atOnce],
])('an answer that arrives %s', (_how, arriving) => {
  it('of known length is read to its end, and the connection serves another', async () => {
    serve = arriving('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 5\r\n\r\nhello');
    const connection = new Connection(path);
    for (let round = 0; round < 3; round++) {
      const answer = await send(connection);
      expect(answer).toEqual({
        status: 200,
        headers: ['content-type', 'text/plain', 'content-length', '5'],
        length: 5,
        body: 'hello',
      });
      expect(connection.reusable).toBe(true);
    }
    connection.destroy();
  });

  it('in chunks is put together, trailers and all', async () => {
    serve = arriving(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n',
    );
    const connection = new Connection(path);
    expect(await send(connection)).toMatchObject({ body: 'abc0123456789', length: null, headers: [] });
    expect(connection.reusable).toBe(true);
    connection.destroy();
  });

  it('comes after interim answers', async () => {
    serve = arriving(
      'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n',
    );
    const connection = new Connection(path);
    expect(await send(connection)).toMatchObject({ status: 201, body: '' });
    connection.destroy();
  });
});

describe('the connection', () => {
  it.each([
    ['a HEAD request', { ...GET, method: 'HEAD' }, 'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n'],
    ['204', GET, 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['304', GET, 'HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n'],
  ])('expects no body for %s', async (_what, request, text) => {
    serve = atOnce(text);
    const connection = new Connection(path);
    expect(await send(connection, request)).toMatchObject({ body: '', length: 0 });
    expect(connection.reusable).toBe(true);
    connection.destroy();
  });

  it('reads an answer without a length until the peer closes', async () => {
    serve = (socket) => socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nto the end'));
    const connection = new Connection(path);
    expect(await send(connection)).toMatchObject({ body: 'to the end' });
    expect(connection.reusable).toBe(false);
  });

  it('is not used again after connection: close', async () => {
    serve = atOnce('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    const connection = new Connection(path);
    await send(connection);
    expect(connection.reusable).toBe(false);
    connection.destroy();
  });

  it.each([
    ['closes in the middle of a body', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal'],
    ['closes in the middle of a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhal'],
    ['closes in the middle of a head', 'HTTP/1.1 200 OK\r\ncont'],
    ['closes without a word', ''],
    ['sends a chunk without a size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
    ['sends a header without a colon', 'HTTP/1.1 200 OK\r\nbad\r\n\r\n'],
  ])('fails when the peer %s', async (_what, text) => {
    serve = (socket) => socket.on('data', () => socket.end(text));
    const connection = new Connection(path);
    await expect(send(connection)).rejects.toThrow();
    expect(connection.reusable).toBe(false);
  });

  it('is cut when the peer sends what no request asked for', async () => {
    serve = atOnce(
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
    );
    const connection = new Connection(path);
    await send(connection);
    await new Promise((resolve) => setImmediate(resolve));
    expect(connection.usable).toBe(false);
  });

  it('says that nobody listens', async () => {
    const connection = new Connection(join(dir, 'nobody'));
    await expect(send(connection)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(send(connection)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each([
    [
      'in chunks when its length is unknown',
      [],
      'transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
    ],
    ['as it is when its length is known', ['content-length', '5'], 'content-length: 5\r\n\r\nabcde'],
  ])('sends a body %s', async (_how, headers, expected) => {
    let received = '';
    serve = (socket) =>
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        if (received.endsWith(expected)) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      });
    const connection = new Connection(path);
    const body = Readable.from([Buffer.from('abc'), Buffer.from('de')]);
    await send(connection, { method: 'POST', target: '/', headers, body });
    expect(received).toBe(`POST / HTTP/1.1\r\n${expected}`);
    expect(connection.reusable).toBe(true);
    connection.destroy();
  });

  it('is not used again when the answer came before the body was sent', async () => {
    serve = atOnce('HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n');
    const connection = new Connection(path);
    const body = new Readable({ read() {} });
    body.push('abc');
    await send(connection, { method: 'POST', target: '/', headers: [], body });
    expect(connection.reusable).toBe(false);
    connection.destroy();
  });

  it('pauses the answer while the reader is full', async () => {
    const size = 8 * 1024 * 1024;
    let peer: Socket | undefined;
    serve = (socket) => {
      peer = socket;
      socket.on('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
        socket.write(Buffer.alloc(size));
      });
    };
    const connection = new Connection(path);
    let got = 0;
    let full = () => {};
    const isFull = new Promise<void>((resolve) => {
      full = resolve;
    });
    const done = new Promise<void>((resolve, reject) => {
      connection.send(GET, {
        onHeaders: () => {},
        onData: (chunk) => {
          got += chunk.length;
          full();
          return false;
        },
        onComplete: resolve,
        onError: reject,
      });
    });
    await isFull;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(got).toBeLessThan(1024 * 1024);
    expect(peer?.writableLength).toBeGreaterThan(0);
    const timer = setInterval(() => connection.resume(), 1);
    await done;
    clearInterval(timer);
    expect(got).toBe(size);
    connection.destroy();
  });

  it('reads the next answer where the end of the last one found the reader full', async () => {
    serve = atOnce('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc');
    const connection = new Connection(path);
    await new Promise<void>((resolve, reject) => {
      connection.send(GET, {
        onHeaders: () => {},
        onData: () => false,
        onComplete: resolve,
        onError: reject,
      });
    });
    expect(connection.reusable).toBe(true);
    expect((await send(connection)).body).toBe('abc');
    connection.destroy();
  });
});
