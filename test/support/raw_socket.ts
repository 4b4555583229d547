/** Requests byte by byte: what is sent is exactly what a test says, and what comes back is shown as it came. */
import { connect } from 'node:net';

export interface RawAnswer {
  status: number;
  headers: Map<string, string>;
  body: string;
}

/**
 * Sends `request` (text counts as Latin-1) on a connection of its own, and resolves with every answer that came until
 * the other side closed it or `answers` were there.
 */
export function sendRaw(url: string, request: string | Buffer, answers = 1): Promise<RawAnswer[]> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let received = Buffer.alloc(0);
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end within 20 s, only: ${received.toString('latin1').slice(0, 500)}`));
    }, 20_000);
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(parse(received));
    };
    socket.on('connect', () =>
      socket.write(typeof request === 'string' ? Buffer.from(request, 'latin1') : request),
    );
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (parse(received).length >= answers) done();
    });
    socket.on('close', done);
    socket.on('error', () => {}); // 'close' follows
  });
}

/** The answers that are complete (RFC 9112, 6.3), interim ones left out. */
function parse(received: Buffer): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = received;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return answers;
    const [statusLine = '', ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]);
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    rest = rest.subarray(end + 4);
    if (status < 200) continue;
    const body = readBody(rest, status, headers);
    if (body === null) return answers;
    answers.push({ status, headers, body: body.text });
    rest = rest.subarray(body.bytes);
  }
}

function readBody(
  rest: Buffer,
  status: number,
  headers: Map<string, string>,
): { text: string; bytes: number } | null {
  if (status === 204 || status === 304) return { text: '', bytes: 0 };
  if (headers.get('transfer-encoding') === 'chunked') {
    let text = '';
    for (let at = 0; ; ) {
      const lineEnd = rest.indexOf('\r\n', at);
      if (lineEnd < 0) return null;
      const size = Number.parseInt(rest.toString('latin1', at, lineEnd), 16);
      const next = lineEnd + 2 + size + 2;
      if (rest.length < next) return null;
      if (size === 0) return { text, bytes: next };
      text += rest.toString('utf8', lineEnd + 2, next - 2);
      at = next;
    }
  }
  const length = Number(headers.get('content-length') ?? rest.length);
  return rest.length < length ? null : { text: rest.toString('utf8', 0, length), bytes: length };
}
