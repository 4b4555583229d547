/** A well-behaved function on the same node, called all the while: whatever others do, it has to answer every call. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TestNode, until } from './node.js';

/** What its caller saw, over all calls. Times in ms, from the request to the last byte. */
export interface NeighbourSummary {
  calls: number;
  failed: number;
  p50: number;
  p99: number;
  max: number;
}

export interface Neighbour {
  /** The function's name. */
  readonly name: string;
  /** What was wrong with calls since this was last asked, 5 of them at most: empty when each was a 200 with the right body. */
  troubles(): string[];
  /** Resolves once it has answered a call rightly that began after this; fails after 20 s. */
  answersAgain(): Promise<void>;
  /** Ends the calling. */
  stop(): Promise<NeighbourSummary>;
}

export interface NeighbourOptions {
  /** Answers `neighbour <n>` to `?n=<n>`. */
  code: string;
  name?: string;
  /** ms between the end of a call and the next; there is one at a time. Default 25. */
  everyMs?: number;
}

/** Deploys it, calls it once, and goes on calling it until `stop()`. */
export async function startNeighbour(node: TestNode, options: NeighbourOptions): Promise<Neighbour> {
  const { code, name = 'neighbour', everyMs = 25 } = options;
  await node.deploy(name, code, { max_instances: 1 });
  const times: number[] = [];
  let fresh: string[] = [];
  let failed = 0;
  let begun = 0;
  let answered = 0;
  let stopped = false;

  async function call() {
    const number = ++begun;
    const start = performance.now();
    const trouble = await troubleOf(node, name, number);
    times.push(performance.now() - start);
    if (trouble !== null) {
      failed++;
      fresh.push(`call ${number}: ${trouble}`);
    }
    if (trouble === null) answered = number;
  }

  await call();
  const calling = (async () => {
    while (!stopped) {
      await call();
      await sleep(everyMs);
    }
  })();

  return {
    name,
    troubles() {
      // Of one cause there are many: the first tell which.
      const seen = fresh.slice(0, 5);
      fresh = [];
      return seen;
    },
    async answersAgain() {
      const last = begun;
      await until(() => answered > last);
    },
    async stop() {
      stopped = true;
      await calling;
      times.sort((a, b) => a - b);
      const at = (share: number) =>
        round(times[Math.min(times.length - 1, Math.floor(times.length * share))]);
      return { calls: times.length, failed, p50: at(0.5), p99: at(0.99), max: round(times.at(-1)) };
    },
  };
}

async function troubleOf(node: TestNode, name: string, number: number): Promise<string | null> {
  try {
    const answer = await node.call(`${name}?n=${number}`, { signal: AbortSignal.timeout(20_000) });
    const text = await answer.text();
    const right = answer.status === 200 && text === `neighbour ${number}`;
    return right ? null : `${answer.status} ${text.slice(0, 200)}`;
  } catch (error) {
    // A broken connection, or no answer within 20 s.
    return String(error instanceof Error ? (error.cause ?? error) : error);
  }
}

function round(ms: number | undefined): number {
  return Math.round((ms ?? 0) * 100) / 100;
}
