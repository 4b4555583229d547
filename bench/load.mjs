// Load on one URL over a number of connections: by wrk where it is installed, else by the benchmark itself.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ownLoad } from './own_load.mjs';
import { start } from './started.mjs';

const wrk = (process.env.PATH ?? '')
  .split(delimiter)
  .map((dir) => join(dir, 'wrk'))
  .find((path) => existsSync(path));

const PAUSES = fileURLToPath(new URL('pauses.lua', import.meta.url));

/** Which program makes the load. */
export function loader(asked) {
  return asked === 'own' || wrk === undefined ? 'own' : 'wrk';
}

/**
 * Resolves with `{ perSecond, p50Ms, quantiles, requests, failed }`; quantiles: `[share, ms]` of 50, 75, 90 and 99 %.
 * `pauses`: each connection waits up to 3 ms before its next request.
 */
export async function load({ url, headers = {}, connections, seconds, by, pauses = false }) {
  return by === 'wrk'
    ? await wrkLoad(url, headers, connections, seconds, pauses)
    : await ownLoad(url, headers, connections, seconds, pauses);
}

async function wrkLoad(url, headers, connections, seconds, pauses) {
  const given = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const script = pauses ? ['-s', PAUSES] : [];
  const program = start(wrk, [
    ...['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...script, ...given],
    url,
  ]);
  const [, perSecond] = await program.says(/Requests\/sec:\s+([\d.]+)/, (seconds + 30) * 1000);
  await program.stop();
  const text = program.output();
  const [, requests] = /(\d+) requests in/.exec(text);
  const quantiles = [50, 75, 90, 99].map((percent) => {
    const [, value, unit] = new RegExp(`${percent}%\\s+([\\d.]+)(us|ms|s)`).exec(text);
    return [percent / 100, Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit]];
  });
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  const socketErrors = /Socket errors: (.*)/.exec(text)?.[1].match(/\d+/g) ?? [];
  return {
    perSecond: Number(perSecond),
    p50Ms: quantiles[0][1],
    quantiles,
    requests: Number(requests),
    failed: socketErrors.reduce((sum, count) => sum + Number(count), refused),
  };
}
