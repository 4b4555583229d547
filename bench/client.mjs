// Single calls over a connection that is kept, timed from the request to the last byte of its answer.
import { Agent, request } from 'node:http';

/** `sockets`: connections at most. */
export function keptAlive(node, sockets = 1) {
  return { node, agent: new Agent({ keepAlive: true, maxSockets: sockets }) };
}

/** ms; throws when the answer is not 200. */
export function callOnce({ node, agent }, name) {
  const headers = { authorization: `Bearer ${node.credentials.anon_key}` };
  const began = performance.now();
  return new Promise((resolve, reject) => {
    request(`${node.url}/functions/v1/${name}`, { agent, headers }, (answer) => {
      answer.resume();
      answer.once('end', () => {
        if (answer.statusCode === 200) resolve(performance.now() - began);
        else reject(new Error(`${name} answered ${answer.statusCode}`));
      });
    })
      .once('error', reject)
      .end();
  });
}
