// A small load generator on plain sockets: each connection sends its next request when the answer to the last is whole.
import { connect } from 'node:net';
import { quantile } from './statistics.mjs';

const MAX_PAUSE_MS = 3;

export async function ownLoad(url, headers, connections, seconds, pauses) {
  const { hostname, port, host, pathname, search } = new URL(url);
  const lines = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`);
  const latencies = [];
  const counts = { failed: 0 };
  const began = performance.now();
  const end = began + seconds * 1000;
  const loop = () =>
    oneConnection({ host: hostname, port: Number(port) }, request, end, latencies, counts, pauses);
  await Promise.all(Array.from({ length: connections }, loop));
  const took = (performance.now() - began) / 1000;
  return {
    perSecond: latencies.length / took,
    p50Ms: quantile(latencies, 0.5),
    quantiles: [0.5, 0.75, 0.9, 0.99].map((q) => [q, quantile(latencies, q)]),
    requests: latencies.length,
    failed: counts.failed,
  };
}

function oneConnection(address, request, end, latencies, counts, pauses) {
  return new Promise((resolve) => {
    const socket = connect({ ...address, noDelay: true });
    let answer = '';
    let sentAt = 0;
    const send = () => {
      answer = '';
      sentAt = performance.now();
      socket.write(request);
    };
    socket.setEncoding('latin1');
    socket.once('connect', send);
    socket.on('data', (chunk) => {
      answer += chunk;
      if (!isWhole(answer)) return;
      const now = performance.now();
      latencies.push(now - sentAt);
      if (!/^HTTP\/1\.1 2/.test(answer)) counts.failed++;
      if (now < end && pauses) setTimeout(send, Math.round(Math.random() * MAX_PAUSE_MS));
      else if (now < end) send();
      else socket.end();
    });
    socket.once('error', () => counts.failed++);
    socket.once('close', resolve);
  });
}

/** Whether an HTTP/1.1 answer has arrived to its end (RFC 9112, 6.3). */
function isWhole(answer) {
  const head = answer.indexOf('\r\n\r\n');
  if (head < 0) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.slice(0, head + 2));
  return length === null ? answer.endsWith('0\r\n\r\n') : answer.length - head - 4 >= Number(length[1]);
}
