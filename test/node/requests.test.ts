/** Requests that are malformed or unusual, on a raw socket: each gets the contract's error or works, and so does the next. */
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startNode, type TestNode } from '../support/node.js';
import { type RawAnswer, sendRaw } from '../support/raw_socket.js';

const PATH = '/functions/v1/shows_request';

let node: TestNode;
let auth: string;

beforeAll(async () => {
  node = await startNode({ HEARTH_POOL_SIZE: '1' });
  await node.deployFile('shows_request.js', { allow_unauthenticated: true });
  auth = `authorization: Bearer ${node.service_key}`;
});

afterAll(async () => {
  await node?.remove();
});

afterEach(async () => {
  for (let n = 0; n < 2; n++) expect((await node.call('shows_request')).status).toBe(200);
  expect(node.output()).not.toMatch(/"level":"(?:warn|error)"|hearth: |Error/);
});

async function send(request: string | Buffer): Promise<RawAnswer> {
  const [answer] = await sendRaw(node.url, request);
  if (answer === undefined) throw new Error('the connection was closed without an answer');
  return answer;
}

const get = (target: string, ...headers: string[]) =>
  send([`GET ${target} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n'));

function expectError(answer: RawAnswer, status: number, code: string) {
  expect({ status: answer.status, body: JSON.parse(answer.body) }).toMatchObject({
    status,
    body: { code, error: expect.stringMatching(/\w+ \w+/), request_id: expect.stringMatching(/./) },
  });
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  expect(answer.headers.get('x-request-id')).toBe(JSON.parse(answer.body).request_id);
}

/** What the function saw. */
function seen(answer: RawAnswer): {
  method: string;
  url: string;
  body: string;
  headers: Record<string, string>;
} {
  expect([answer.status, answer.body]).toEqual([200, expect.stringMatching(/^\{/)]);
  return JSON.parse(answer.body);
}

describe('a path', () => {
  it.each([
    `${PATH}/..`,
    `${PATH}/../../../etc/passwd`,
    `${PATH}/%2e%2e/x`,
    `${PATH}/.%2E/x`,
    `${PATH}/./x`,
    `${PATH}/..?x`,
    `${PATH}/a%00b`,
    `${PATH}\\..\\x`,
    `${PATH}/%`,
    `${PATH}/%zz`,
    `${PATH}/%ff`,
    `${PATH}/%c3%28`,
    '/functions/v1/%',
    '/functions/v1/../../healthz',
    '/api/v1/functions/%00',
    '/t/%2e%2e/functions/v1/x',
    'functions/v1/shows_request',
    '*',
  ])('%s is refused with 400', async (target) => {
    expectError(await get(target, auth), 400, 'INVALID_REQUEST');
  });

  it.each([
    ['/functions/v1/', 'an empty name'],
    ['/functions/v1', 'no name'],
    ['/functions/v1//shows_request', 'an empty segment'],
    [`/functions/v1/${'a'.repeat(10_240)}`, 'a name of 10 kB'],
    [`/api/v1/functions/${'a'.repeat(10_240)}`, 'a managed name of 10 kB'],
    [`/${'a/'.repeat(5_000)}`, 'a path of 10 kB'],
    ['/functions/v1/shows_request%2f', 'a name with a slash in it'],
    ['/t/nobody/functions/v1/shows_request', 'an unknown tenant'],
    ['/t/', 'no tenant'],
    ['/api/v1/functions/..%2f..', 'an encoded slash'],
    ['//evil.example/functions/v1/shows_request', 'two slashes'],
  ])('%.40s (%s) is 404', async (target) => {
    expectError(await get(target, auth), 404, 'NOT_FOUND');
  });

  it('of 10 kB goes to the function whole', async () => {
    const rest = 'a'.repeat(10_240);
    expect(seen(await get(`${PATH}/${rest}?q=${rest}`)).url).toBe(
      `http://localhost${PATH}/${rest}?q=${rest}`,
    );
  });

  it('of 100 kB is too large', async () => {
    expectError(await get(`${PATH}/${'a'.repeat(102_400)}`), 413, 'TOO_LARGE');
  });

  it('keeps its encoding, its dots and its odd characters', async () => {
    for (const rest of ['/a%2Fb/..c/...', "/%E2%82%AC/a'b", '/a;b=c,d', '?a=..&b=%zz&c=/../', '/a//b'])
      expect(seen(await get(`${PATH}${rest}`)).url).toBe(`http://localhost${PATH}${rest}`);
  });

  it('with a space or a raw byte in it is no HTTP', async () => {
    expectError(await get(`${PATH}/a b`), 400, 'INVALID_REQUEST');
    expectError(await get(`${PATH}/a\x01b`), 400, 'INVALID_REQUEST');
  });

  it('in absolute form is what a proxy sends, and works', async () => {
    for (const target of [`http://localhost${PATH}/x?y=1`, `HTTP://LOCALHOST:80${PATH}/x?y=1`])
      expect(seen(await get(target)).url).toContain(`${PATH}/x?y=1`);
    expectError(await get('ftp://localhost/functions/v1/shows_request'), 400, 'INVALID_REQUEST');
    expectError(await get(`http://localhost${PATH}/../x`), 400, 'INVALID_REQUEST');
  });
});

describe('headers', () => {
  it('with two hosts or none are refused', async () => {
    expectError(await get(PATH, 'Host: other'), 400, 'INVALID_REQUEST');
    expectError(await send(`GET ${PATH} HTTP/1.1\r\n\r\n`), 400, 'INVALID_REQUEST');
  });

  it.each([
    ['a NUL', 'x-bad: a\0b'],
    ['a bare carriage return', 'x-bad: a\rb'],
    ['a space before the colon', 'x-bad : a'],
    ['no colon', 'x-bad'],
    ['no name', ': a'],
    ['a name with a space', 'x bad: a'],
    ['a folded line', 'x-bad: a\r\n b'],
  ])('with %s are refused', async (_, line) => {
    expectError(await get(PATH, line), 400, 'INVALID_REQUEST');
  });

  it('larger than 32 KiB together are refused', async () => {
    expectError(await get(PATH, `x-large: ${'a'.repeat(33 * 1024)}`), 413, 'TOO_LARGE');
    const many = Array.from({ length: 2_000 }, (_, index) => `x-many-${index}: ${'a'.repeat(20)}`);
    expectError(await get(PATH, ...many), 413, 'TOO_LARGE');
  });

  it('with a strange host, Latin-1 text or a strange credential do no harm', async () => {
    const strange = await send(`GET ${PATH} HTTP/1.1\r\nHost: a b<script>\r\n\r\n`);
    expect(seen(strange).url).toBe(`http://localhost${PATH}`);
    expect(seen(await get(PATH, 'x-latin: caf\xe9')).headers['x-latin']).toMatch(/^caf/);
    for (const value of [
      'Bearer',
      'Bearer ',
      `Bearer ${'a'.repeat(20_000)}`,
      'Bearer a.b.c',
      'Basic eDp5',
      '\xff',
    ])
      expectError(
        await send(`GET /api/v1/functions HTTP/1.1\r\nHost: x\r\nauthorization: ${value}\r\n\r\n`),
        401,
        'UNAUTHENTICATED',
      );
  });

  it("that are the platform's own do not reach the function from outside", async () => {
    const { headers } = seen(
      await get(
        PATH,
        'x-hearth-user-role: admin',
        'X-Hearth-Token: forged',
        'x-execution-id: mine',
        'X-Hearth: d0',
      ),
    );
    for (const forged of ['admin', 'forged', 'd0', 'mine'])
      expect(Object.values(headers)).not.toContain(forged);
  });
});

describe('a body', () => {
  const post = (headers: string[], body: string, target = PATH) =>
    send([`POST ${target} HTTP/1.1`, 'Host: localhost', ...headers, '', body].join('\r\n'));

  it('in chunks arrives whole, trailers and extensions left aside', async () => {
    const chunks = '4;ext=1\r\nab\r\n\r\n3\r\ncde\r\n0\r\nx-trailer: 1\r\n\r\n';
    expect(seen(await post(['Transfer-Encoding: chunked'], chunks)).body).toBe('ab\r\ncde');
  });

  it.each([
    ['a chunk size that is no number', ['Transfer-Encoding: chunked'], 'zz\r\nab\r\n0\r\n\r\n'],
    ['a chunk longer than it says', ['Transfer-Encoding: chunked'], '2\r\nabcdef\r\n0\r\n\r\n'],
    ['a huge chunk size', ['Transfer-Encoding: chunked'], 'ffffffffffffffffff\r\nab'],
  ])('with %s is refused or ends the connection', async (_, headers, body) => {
    const answers = await sendRaw(
      node.url,
      [`POST ${PATH} HTTP/1.1`, 'Host: x', ...headers, '', body].join('\r\n'),
    );
    for (const answer of answers) expectError(answer, 400, 'INVALID_REQUEST');
  });

  it.each([
    ['a length that is no number', ['Content-Length: many']],
    ['a negative length', ['Content-Length: -1']],
    ['two lengths', ['Content-Length: 3', 'Content-Length: 4']],
    ['a length and chunks', ['Content-Length: 3', 'Transfer-Encoding: chunked']],
    ['an unknown transfer coding', ['Transfer-Encoding: gzip']],
    ['a coding after chunked', ['Transfer-Encoding: chunked, gzip']],
  ])('with %s is refused', async (_, headers) => {
    expectError(await post(headers, '3\r\nabc\r\n0\r\n\r\n'), 400, 'INVALID_REQUEST');
  });

  it('longer than its length begins no second request that counts', async () => {
    const request = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcdef`;
    const answers = await sendRaw(node.url, request, 3);
    const last = answers.at(-1);
    if (last === undefined) throw new Error('there was no answer');
    expectError(last, 400, 'INVALID_REQUEST');
    for (const answer of answers.slice(0, -1)) expect(seen(answer).body).toBe('abc');
    expect(answers.length).toBeLessThanOrEqual(2);
  });

  it('is asked for where the client waits for that', async () => {
    expect(seen(await post(['Expect: 100-continue', 'Content-Length: 3'], 'abc')).body).toBe('abc');
  });

  it('is taken where the client expects what nobody knows', async () => {
    expect(seen(await post(['Expect: 200-maybe', 'Content-Length: 3'], 'abc')).body).toBe('abc');
  });

  it('that is no JSON is refused by the API', async () => {
    for (const body of ['', '{', 'null', '[]', '"x"', '{"name":1}', '\xff\xfe']) {
      const answer = await post(
        [auth, 'Content-Type: application/json', `Content-Length: ${body.length}`],
        body,
        '/api/v1/functions',
      );
      expectError(answer, 400, 'INVALID_REQUEST');
    }
  });
});

describe('a method', () => {
  it.each(['OPTIONS', 'PATCH', 'DELETE', 'PUT', 'PROPFIND', 'REPORT', 'TRACE'])(
    '%s goes to the function',
    async (method) => {
      expect(seen(await send(`${method} ${PATH} HTTP/1.1\r\nHost: x\r\n\r\n`)).method).toBe(method);
    },
  );

  it.each(['get', 'FOO', 'G\u00cbT', 'CONNECT', ''])('%j is refused', async (method) => {
    const target = method === 'CONNECT' ? 'localhost:80' : PATH;
    expectError(await send(`${method} ${target} HTTP/1.1\r\nHost: x\r\n\r\n`), 400, 'INVALID_REQUEST');
  });

  it('OPTIONS * is answered', async () => {
    expectError(await send('OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n'), 400, 'INVALID_REQUEST');
  });

  it('that the API does not have there is 404', async () => {
    expectError(await send(`PUT /api/v1/functions HTTP/1.1\r\nHost: x\r\n${auth}\r\n\r\n`), 404, 'NOT_FOUND');
    expectError(await send('POST /nowhere HTTP/1.1\r\nHost: x\r\n\r\n'), 404, 'NOT_FOUND');
  });
});

describe('a connection', () => {
  it('answers pipelined requests in their order', async () => {
    const request = (n: number) => `POST ${PATH}?n=${n} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n${n}`;
    const answers = await sendRaw(node.url, [1, 2, 3, 4].map(request).join(''), 4);
    expect(answers.map((answer) => seen(answer).body)).toEqual(['1', '2', '3', '4']);
  });

  it('in HTTP/1.0 works, without a host and without chunks', async () => {
    const answer = await send(`GET ${PATH} HTTP/1.0\r\n\r\n`);
    expect(seen(answer).method).toBe('GET');
    expect(answer.headers.has('transfer-encoding')).toBe(false);
  });

  it.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/9.9', `GET ${PATH} HTTP/9.9\r\nHost: x\r\n\r\n`],
    ['noise', '\0\0\0\0\r\n\r\n'],
  ])('that speaks %s is told so', async (_, bytes) => {
    expectError(await send(bytes), 400, 'INVALID_REQUEST');
  });

  it('that sends noise behind its request does not get an answer inside the answer', async () => {
    await node.deployFile('streams_slowly.js', { allow_unauthenticated: true });
    const { hostname, port } = new URL(node.url);
    let received = '';
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname, () =>
        socket.write('GET /functions/v1/streams_slowly HTTP/1.1\r\nHost: x\r\n\r\n'),
      );
      socket.on('data', (chunk) => {
        if (received === '') socket.write('noise\r\n\r\n');
        received += String(chunk);
      });
      socket.on('error', () => {}); // 'close' follows
      socket.once('close', () => resolve());
    });
    expect(received.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(received).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('that is cut in the middle of anything leaves no trace', async () => {
    const whole = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789`;
    for (let length = 1; length < whole.length; length += 9) {
      const { hostname, port } = new URL(node.url);
      await new Promise<void>((resolve, reject) => {
        const socket = connect(Number(port), hostname, () => socket.end(whole.slice(0, length)));
        socket.resume();
        socket.once('error', reject);
        socket.once('close', () => resolve());
      });
    }
  });

  it('that asks for an upgrade that nobody knows is refused', async () => {
    const upgrade = (target: string) =>
      get(target, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13');
    expectError(await upgrade('/nowhere'), 404, 'NOT_FOUND');
    expectError(await upgrade('/functions/v1/nowhere'), 404, 'NOT_FOUND');
    expectError(await upgrade(`${PATH}/../x`), 400, 'INVALID_REQUEST');
  });
});
