/** Attacks through HTTP: splitting and smuggling, from function to client and back, and those who are slow on purpose. */
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { errorOf, executionOf } from '../support/answers.js';
import { growthOf } from '../support/memory.js';
import { until } from '../support/node.js';
import { rawRequest } from '../support/raw_http.js';
import { sendRaw } from '../support/raw_socket.js';
import { type Stage, underEachSandbox } from './stage.js';

const MIB = 1024 * 1024;

underEachSandbox('http', (stage) => {
  it.each(['value', 'name', 'status_text', 'line_feed', 'nul', 'wide', 'location', 'node'])(
    'splits_its_answer.ts?by=%s sets no header and no answer of its own',
    async (by) => {
      const name = await stage.deploy('splits_its_answer');
      const answers = await twoCalls(stage, `${name}?by=${by}`);
      for (const { headers, body } of answers) {
        expect(headers.get('set-cookie')).toBeUndefined();
        expect(body).not.toBe('forged');
      }
      expect(answers).toHaveLength(2);
      if (by === 'location') expect(answers[0]).toMatchObject({ status: 302 });
      else expect([200, 500]).toContain(answers[0]?.status);
    },
  );

  it.each([
    'content-length=0',
    'content-length=5',
    'content-length=5&content-length=6',
    'content-length=999',
    'content-length=-1',
    'content-length=0x10',
    'transfer-encoding=chunked',
    'transfer-encoding=gzip,+chunked&content-length=5',
    'connection=close',
    'stream=1&content-length=5',
    'stream=1&content-length=999',
    'stream=1&transfer-encoding=identity',
  ])('smuggles_framing_headers.ts?%s changes nothing about the answers that follow', async (query) => {
    const name = await stage.deploy('smuggles_framing_headers', { settings: { timeout_seconds: 2 } });
    const url = `${stage.node.url}/functions/v1/`;
    const auth = { authorization: `Bearer ${stage.node.anon_key}` };
    // The caller may lose this answer; nobody else may get a part of it.
    const first = await fetch(`${url}${name}?${query}`, { headers: auth })
      .then(async (answer) => `${answer.status} ${await answer.text()}`)
      .catch(() => 'broken off');
    expect(first).not.toBe('200 forged');
    const after = await stage.deploy('shows_what_it_is_told');
    for (let n = 0; n < 4; n++) {
      const answer = await stage.node.call(`${after}?n=${n}`);
      expect(await answer.json()).toMatchObject({ url: `${url}${after}?n=${n}` });
    }
  });

  it('sends_headers_of_the_hop.ts decides nothing about the connection', async () => {
    const name = await stage.deploy('sends_headers_of_the_hop');
    const answers = await twoCalls(stage, name);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    for (const { headers } of answers) {
      expect(headers.get('x-execution-id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(headers.get('x-request-id')).not.toBe('forged');
      expect(headers.get('keep-alive') ?? '').not.toContain('9999');
      for (const own of ['upgrade', 'trailer', 'proxy-authenticate'])
        expect(headers.get(own)).toBeUndefined();
      expect(headers.get('connection') ?? '').not.toContain('x-execution-id');
    }
  });

  it.each([
    'trailer=x-late',
    'trailer=x-late&stream=1',
    'connection=upgrade&upgrade=websocket',
    'transfer-encoding=chunked',
    'transfer-encoding=chunked&content-length=3',
    'te=trailers',
    'expect=100-continue',
    'http2-settings=x',
    'content-length=3.0',
    'content-encoding=gzip',
    'content-encoding=br,+br,+br,+br',
    'x-empty=',
    'x-odd=%c3%a9%ff%01',
    'date=never',
    'status=100',
    'status=101',
    'status=103',
    'status=205&content-length=3',
    'status=204&content-length=3',
    'status=304&transfer-encoding=chunked',
    'status=599',
    'set-cookie=a%3db&set-cookie=c%3dd',
    'x-hearth=&x-request-id=&x-execution-id=',
    'content-type=text/event-stream&content-length=0',
  ])('answers_with_odd_headers.ts?%s is passed on, or refused, by a router that lives on', async (query) => {
    const name = await stage.deploy('answers_with_odd_headers', { settings: { timeout_seconds: 2 } });
    const answer = await rawRequest(stage.node.url, {
      path: `/functions/v1/${name}?${query}`,
      headers: { authorization: `Bearer ${stage.node.anon_key}` },
    }).catch(() => null); // it may be broken off
    expect(answer?.status ?? 500).toBeGreaterThanOrEqual(200);
    const again = await stage.node.call(`${name}?x-plain=yes`);
    expect([again.status, again.headers.get('x-plain'), await again.text()]).toEqual([200, 'yes', 'odd']);
  });

  it.each(['HEAD ', 'GET ?status=204', 'GET ?status=304'])(
    'answers_with_a_body_where_none_may_be.ts, %s: the next answer is the platform’s',
    async (how) => {
      const name = await stage.deploy('answers_with_a_body_where_none_may_be');
      const [method = '', query = ''] = how.split(' ');
      const answers = await twoCalls(stage, name + query, method);
      // None of the bytes that would have been a body was taken for an answer.
      expect(answers.at(-1)?.body).not.toBe('forged');
      expect(answers.at(-1)?.body).toContain('"code":"NOT_FOUND"');
    },
  );

  it('upgrades_by_itself.ts gets no connection to its caller', async () => {
    const name = await stage.deploy('upgrades_by_itself');
    const answer = await stage.node.call(name);
    expect((await errorOf(answer)).status).toBeGreaterThanOrEqual(500);
  });

  it('shows_what_it_is_told.ts is told the truth about a caller who lies', async () => {
    const name = await stage.deploy('shows_what_it_is_told');
    const answer = await rawRequest(stage.node.url, {
      path: `/functions/v1/${name}`,
      headers: {
        authorization: `Bearer ${stage.node.anon_key}`,
        'x-hearth': 'forged',
        'x-hearth-user-id': 'someone-else',
        'x-hearth-user-role': 'service_role',
        'X-Hearth-User-Email': 'forged@example.com',
        'x-hearth-token': 'forged-token',
        'x-hearth-params': encodeURIComponent('{"forged":"1"}'),
        'x-execution-id': 'forged-execution',
        connection: 'x-request-id, x-execution-id, x-hearth-token',
      },
    });
    expect(answer.status).toBe(200);
    const text = answer.body.toString();
    expect(text).not.toMatch(/forged|service_role|someone-else/);
    const seen: Record<string, unknown> = JSON.parse(text);
    expect(seen).toMatchObject({ user_role: 'anon', params: {}, tenant: 'default' });
    expect(seen.execution_id).toBe(answer.header('x-execution-id'));
  });

  it.each([
    ['both lengths', 'Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'Content-Length: 6\r\nContent-Length: 0\r\n\r\n'],
    ['a length that is no number', 'Content-Length: +6\r\n\r\n'],
    ['an encoding that is none', 'Transfer-Encoding: xchunked\r\n\r\n'],
    ['an encoding with a space before its colon', 'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n'],
    [
      'an encoding in two lines',
      'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a folded header', 'X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n'],
    ['a bare line feed', 'X-A: b\nTransfer-Encoding: chunked\n\n0\n\n'],
    ['a chunk that is too long', 'Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n'],
    ['a header with a NUL', 'X-A: b\0c\r\n\r\n'],
  ])('shows_what_it_is_told.ts is not reached by a second request hidden behind %s', async (_, rest) => {
    const name = await stage.deploy('shows_what_it_is_told');
    const auth = `Authorization: Bearer ${stage.node.anon_key}\r\n`;
    const hidden = `GET /functions/v1/${name}?hidden HTTP/1.1\r\nHost: x\r\n${auth}\r\n`;
    const request = `POST /functions/v1/${name}?shown HTTP/1.1\r\nHost: x\r\n${auth}${rest}${hidden}`;
    const answers = await sendRaw(stage.node.url, request, 1);
    // Refused, or taken for one request of which the rest is a body or another request in the open.
    for (const { status, body } of answers) {
      if (status === 200)
        expect(JSON.parse(body).headers).not.toContainEqual(['transfer-encoding', 'xchunked']);
      else expect(status).toBe(400);
    }
    const after = await stage.node.call(`${name}?after`);
    expect(await after.json()).toMatchObject({ url: expect.stringMatching(/\?after$/) });
  });

  it('is sent 1 MiB of headers, and refuses them', async () => {
    const name = await stage.deploy('shows_what_it_is_told');
    const head = `GET /functions/v1/${name} HTTP/1.1\r\nHost: x\r\nX-Huge: ${'x'.repeat(MIB)}\r\n\r\n`;
    const answers = await sendRaw(stage.node.url, head, 1);
    expect(answers.map(({ status }) => status).filter((status) => status !== 413)).toEqual([]);
    const many = Array.from({ length: 5000 }, (__, n) => `X-${n}: x\r\n`).join('');
    const others = await sendRaw(
      stage.node.url,
      `GET /functions/v1/${name} HTTP/1.1\r\nHost: x\r\n${many}\r\n`,
      1,
    );
    expect(others.map(({ status }) => status).filter((status) => ![413, 401].includes(status))).toEqual([]);
  });

  it('never_reads_its_body.ts is sent 64 MiB, which no one holds', async () => {
    const name = await stage.deploy('never_reads_its_body');
    const body = Buffer.alloc(64 * MIB);
    let status: number | string = '';
    const grown = await growthOf(stage.platform(), async () => {
      status = await stage.node.call(name, { method: 'POST', body }).then(
        (answer) => answer.status,
        () => 'broken off',
      );
    });
    // The answer may be there before the body is: the connection is then closed.
    expect([202, 'broken off']).toContain(status);
    expect(grown).toBeLessThan(40 * MIB);
  });

  it('reads_its_body_and_never_answers.ts is a 504, also when its caller is slow', async () => {
    const name = await stage.deploy('reads_its_body_and_never_answers', { settings: { timeout_seconds: 1 } });
    const { hostname, port } = new URL(stage.node.url);
    const socket = connect(Number(port), hostname);
    let received = '';
    socket.on('data', (chunk) => {
      received += String(chunk);
    });
    socket.on('error', () => {}); // closed under our hands: 'received' tells
    const auth = `Authorization: Bearer ${stage.node.anon_key}\r\n`;
    socket.write(`POST /functions/v1/${name} HTTP/1.1\r\nHost: x\r\n${auth}Content-Length: 1000000\r\n\r\n`);
    const writing = setInterval(() => socket.write('x'), 50);
    try {
      await until(
        () => received.includes('"code":"FUNCTION_TIMEOUT"'),
        10_000,
        () => received,
      );
      expect(received).toMatch(/^HTTP\/1\.1 504 /);
    } finally {
      clearInterval(writing);
      socket.destroy();
    }
  });

  it('streams_a_large_answer.ts to one who does not read: no one holds it', async () => {
    const name = await stage.deploy('streams_a_large_answer', { settings: { timeout_seconds: 2 } });
    const grown = await growthOf(stage.platform(), async () => {
      const answer = await stage.node.call(name);
      expect(answer.status).toBe(200);
      const execution = await executionOf(stage.node, answer);
      expect(execution.status).toBe('timeout');
      await answer.body?.cancel().catch(() => {}); // it has broken off
    });
    expect(grown).toBeLessThan(40 * MIB);
  });

  it('streams_a_large_answer.ts to one who goes away: the call is cancelled', async () => {
    const name = await stage.deploy('streams_a_large_answer', { settings: { timeout_seconds: 2 } });
    const leaving = new AbortController();
    const answer = await stage.node.call(name, { signal: leaving.signal });
    leaving.abort();
    expect(await executionOf(stage.node, answer)).toMatchObject({ status: 'cancelled' });
  });

  it.each(['breaks_off_its_answer', 'promises_more_than_it_sends'])(
    '%s.ts: the caller sees that it is not whole',
    async (file) => {
      const name = await stage.deploy(file);
      const answer = await stage.node.call(name);
      await expect(answer.text()).rejects.toThrow();
      const execution = await executionOf(stage.node, answer);
      expect(execution).toMatchObject({
        status: 'error',
        error_message: expect.stringContaining('broke off'),
      });
    },
  );

  it('floods_a_web_socket.ts to one who does not read: no one holds it', async () => {
    const name = await stage.deploy('floods_a_web_socket', {
      settings: { timeout_seconds: 2, memory_limit_mb: 256 },
    });
    let closed = false;
    const grown = await growthOf(stage.platform(), async () => {
      const headers = { authorization: `Bearer ${stage.node.anon_key}` };
      const socket = new WebSocket(`${stage.node.url.replace('http', 'ws')}/functions/v1/${name}`, {
        headers,
      });
      socket.on('open', () => socket.pause());
      socket.on('error', () => {}); // 'close' follows
      socket.on('close', () => {
        closed = true;
      });
      await until(async () => {
        const found = await stage.node.api(`/api/v1/functions/${name}/executions`);
        const executions: unknown = await found.json();
        return Array.isArray(executions) && executions.length > 0;
      });
      socket.resume();
      await until(() => closed);
    });
    expect(grown).toBeLessThan(40 * MIB);
  });
});

/** The same path twice, and a path that is not there, on one connection: what came back, as it came. */
async function twoCalls(stage: Stage, path: string, method = 'GET') {
  const auth = `Host: x\r\nAuthorization: Bearer ${stage.node.anon_key}\r\n`;
  const one = `${method} /functions/v1/${path} HTTP/1.1\r\n${auth}\r\n`;
  if (method === 'GET' && !path.includes('status=')) return await sendRaw(stage.node.url, one + one, 2);
  // `sendRaw` reads a body where there is one by its head alone: what matters is what follows it.
  const last = `GET /functions/v1/not-there HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`;
  const whole = await sendAll(stage.node.url, one + last);
  const at = whole.lastIndexOf('HTTP/1.1 404');
  return [{ status: 404, headers: new Map<string, string>(), body: at < 0 ? whole : whole.slice(at) }];
}

/** Everything that came until the other side closed. */
async function sendAll(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return await new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(text));
    let received = '';
    socket.on('data', (chunk) => {
      received += String(chunk);
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
  });
}
