/** The memory of a process that serves many calls. */
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startNode, type TestNode } from '../support/node.js';

let node: TestNode;
beforeAll(async () => {
  node = await startNode({ HEARTH_ROUTERS: '1' });
});
afterAll(async () => {
  await node?.remove();
});

const CONNECTIONS = 8;
const BURSTS = 300;
/** Requests that a connection sends together. */
const BURST = 20;

it.each(['tells_its_heap', 'serves_its_heap'])('keeps nothing of calls that are over: %s', async (name) => {
  await node.deployFile(`${name}.ts`, { allow_unauthenticated: true });
  await Promise.all(Array.from({ length: CONNECTIONS }, () => manyCalls(`/functions/v1/${name}`)));
  const answer = await fetch(`${node.url}/functions/v1/${name}`);
  // Some 8 MiB; 35 and more where calls outlive collections of the young generation.
  expect(Number(await answer.text())).toBeLessThan(20);
});

/** Resolves when all are answered with 200. */
function manyCalls(path: string): Promise<void> {
  const { hostname, port } = new URL(node.url);
  const requests = `GET ${path} HTTP/1.1\r\nhost: localhost\r\nx-filler: ${'x'.repeat(500)}\r\n\r\n`.repeat(
    BURST,
  );
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let bursts = 0;
    let answered = 0;
    let end = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      const text = end + chunk;
      const found = text.split('HTTP/1.1 200').length - 1;
      answered += found;
      end = text.slice(-11); // too short for one that is counted already
      if (answered < bursts * BURST) return;
      if (bursts === BURSTS) return socket.end();
      bursts++;
      socket.write(requests);
    });
    socket.once('connect', () => {
      bursts = 1;
      socket.write(requests);
    });
    socket.once('error', reject);
    socket.once('close', () =>
      answered === BURSTS * BURST ? resolve() : reject(new Error(`only ${answered} were answered`)),
    );
  });
}
