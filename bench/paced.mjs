// Calls at a steady rate, whether or not the answers keep up: what a client sees that does not wait for others.
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { start } from './started.mjs';

const TICK_MS = 2;
/** Connections at most: calls beyond wait for one, and their latency counts from when they were due. */
const MAX_CONNECTIONS = 256;

/**
 * Resolves with `{ latencies, due, statuses, unanswered }`: ms of each answer, when its call was due (Unix ms), and how many
 * there were of each status.
 */
export async function pacedLoad({ url, headers = {}, perSecond, seconds }) {
  const { hostname, port, host, pathname } = new URL(url);
  const lines = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`GET ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n`);
  const result = { latencies: [], due: [], statuses: {}, unanswered: 0 };
  const idle = [];
  const due = [];
  let open = 0;

  function dial() {
    open++;
    const connection = { socket: connect({ host: hostname, port: Number(port), noDelay: true }), at: null };
    let answer = '';
    connection.socket.setEncoding('latin1');
    connection.socket.on('data', (chunk) => {
      answer += chunk;
      const end = answer.indexOf('\r\n\r\n');
      const length = /\r\ncontent-length: *(\d+)/i.exec(answer)?.[1];
      if (end < 0 || answer.length < end + 4 + Number(length ?? 0)) return;
      const status = answer.slice(9, 12);
      answer = '';
      result.statuses[status] = (result.statuses[status] ?? 0) + 1;
      result.latencies.push(performance.now() - connection.at);
      result.due.push(performance.timeOrigin + connection.at);
      connection.at = null;
      next(connection);
    });
    connection.socket.once('error', () => {}); // 'close' follows
    connection.socket.once('close', () => {
      open--;
      if (connection.at !== null) result.unanswered++;
      const place = idle.indexOf(connection);
      if (place >= 0) idle.splice(place, 1);
    });
    next(connection);
  }

  function next(connection) {
    const at = due.shift();
    if (at === undefined) return idle.push(connection);
    connection.at = at;
    connection.socket.write(request);
  }

  const began = performance.now();
  let sent = 0;
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      const elapsed = Math.min(performance.now() - began, seconds * 1000);
      for (; sent < (elapsed / 1000) * perSecond; sent++) {
        due.push(began + (sent / perSecond) * 1000);
        const connection = idle.pop();
        if (connection !== undefined) next(connection);
        else if (open < MAX_CONNECTIONS) dial();
      }
      if (elapsed < seconds * 1000) return;
      clearInterval(timer);
      resolve();
    }, TICK_MS);
  });
  // What is under way has two seconds.
  const until = performance.now() + 2_000;
  while (result.latencies.length + result.unanswered < sent && performance.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 10));
  result.unanswered = sent - result.latencies.length;
  for (const { socket } of idle.splice(0)) socket.destroy();
  return result;
}

/** Latencies that another process tells of. */
const MAX_TOLD = 2_000;

/** The same from a process of its own, so that the load does not get in the way of another one's clock. */
export async function pacedLoadApart(options) {
  const program = start(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(options)]);
  const [, text] = await program.says(/^RESULT (.*)$/m, (options.seconds + 30) * 1000);
  await program.exited;
  return JSON.parse(text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { latencies, due, ...counts } = await pacedLoad(JSON.parse(process.argv[2]));
  const first = (list) => list.slice(0, MAX_TOLD).map((ms) => Math.round(ms * 100) / 100);
  const told = { ...counts, latencies: first(latencies), due: first(due) };
  process.stdout.write(`RESULT ${JSON.stringify(told)}\n`, () => process.exit());
}
