// The server of (d), run by process_per_call.mjs. Arguments: the Deno binary, the script that answers one call.
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';

const AT_ONCE = 4;
const [, , deno, file] = process.argv;
const waiting = [];
let running = 0;

const server = createServer((incoming, outgoing) => {
  waiting.push({ incoming, outgoing });
  next();
});

function next() {
  while (running < AT_ONCE && waiting.length > 0) {
    const { incoming, outgoing } = waiting.shift();
    running++;
    const { method, headers } = incoming;
    const REQUEST = JSON.stringify({ method, headers, url: `http://${headers.host}${incoming.url}` });
    const args = ['run', '--quiet', '--no-prompt', '--no-config', '--allow-env', file];
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, REQUEST };
    execFile(deno, args, { env }, (error, stdout) => {
      running--;
      if (error === null) {
        const answer = JSON.parse(stdout);
        outgoing.writeHead(answer.status, answer.headers);
        outgoing.end(answer.body);
      } else {
        outgoing.writeHead(500);
        outgoing.end();
      }
      next();
    });
  }
}

server.listen(0, '127.0.0.1', () => console.log('port', server.address().port));
