// Single calls over connections that are kept, timed from the request to the last byte of its answer. On bare sockets: of
// the milliseconds of a first call, an HTTP client in this process would take one for itself.
import { connect } from 'node:net';

/** `sockets`: connections at most; each is opened by the call that first needs it. */
export function keptAlive(node, sockets = 1) {
  const { hostname, port } = new URL(node.url);
  const idle = [];
  const waiting = [];
  const all = [];
  const take = () => {
    const found = idle.pop();
    if (found !== undefined) return found;
    if (all.length >= sockets) return new Promise((resolve) => waiting.push(resolve));
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    socket.on('error', () => {}); // 'close' follows
    all.push(socket);
    return new Promise((resolve) => socket.once('connect', () => resolve(socket)));
  };
  const give = (socket) => {
    const next = waiting.shift();
    if (next === undefined) idle.push(socket);
    else next(socket);
  };
  return {
    take,
    give,
    head: `host: ${hostname}:${port}\r\nauthorization: Bearer ${node.credentials.anon_key}\r\n\r\n`,
    close() {
      for (const socket of all) socket.destroy();
    },
  };
}

/** ms; throws when the answer is not 200. */
export async function callOnce(client, name) {
  const request = `GET /functions/v1/${name} HTTP/1.1\r\n${client.head}`;
  const began = performance.now();
  const taken = client.take();
  const socket = taken instanceof Promise ? await taken : taken;
  return await new Promise((resolve, reject) => {
    let text = '';
    const onData = (chunk) => {
      text += chunk.toString('latin1');
      if (!isWhole(text)) return;
      const tookMs = performance.now() - began;
      socket.off('data', onData).off('close', onClose);
      client.give(socket);
      if (text.startsWith('HTTP/1.1 200 ')) resolve(tookMs);
      else reject(new Error(`${name} answered ${text.slice(9, 12)}`));
    };
    const onClose = () => reject(new Error(`the connection ended before ${name} had answered`));
    socket.on('data', onData).once('close', onClose);
    socket.write(request, 'latin1');
  });
}

/** All small answers have a Content-Length. */
function isWhole(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const [, length] = /\r\ncontent-length: (\d+)\r\n/i.exec(text) ?? [];
  if (length === undefined) throw new Error(`an answer without a length: ${text.slice(0, end)}`);
  return text.length >= end + 4 + Number(length);
}
