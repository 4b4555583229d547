/** The real Prometheus (Debian's package `prometheus`) beside a test: it scrapes a node and answers queries. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './node.js';

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

export interface TestPrometheus {
  url: string;
  /** The instant vector that a query gives now. Fails with what Prometheus says of the query. */
  query(expr: string): Promise<Sample[]>;
  /** The sum of what a query gives; null where it gives nothing. */
  sum(expr: string): Promise<number | null>;
  /** When the newest page was asked for that could be read, in ms of Unix time. */
  scrapedAt(): Promise<number>;
  stop(): Promise<void>;
}

/**
 * What is missing here of Prometheus and promtool, as a sentence; null: nothing. Where the tests were told that it has to
 * be there (HEARTH_TEST_REQUIRE names it, as in CI), that is an error.
 */
export function prometheusMissing(): string | null {
  const missing = ['prometheus', 'promtool'].filter((tool) => spawnSync(tool, ['--version']).status !== 0);
  if (missing.length === 0) return null;
  const sentence = `${missing.join(' and ')} cannot be run here: install the Debian package prometheus (apt install prometheus).`;
  if ((process.env.HEARTH_TEST_REQUIRE ?? '').split(',').includes('prometheus')) throw new Error(sentence);
  return sentence;
}

/** @param rules paths of files. Scrapes and evaluates every second, as the job `hearth`. */
export async function startPrometheus(metricsUrl: string, rules: string[]): Promise<TestPrometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-prometheus-'));
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: rules,
    scrape_configs: [{ job_name: 'hearth', static_configs: [{ targets: [new URL(metricsUrl).host] }] }],
  };
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config)); // JSON is YAML
  const port = await freePort();
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let output = '';
  child.stderr.on('data', (chunk) => {
    output += String(chunk);
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}`;

  async function query(expr: string): Promise<Sample[]> {
    const answer = await fetch(`${url}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query: expr }),
    });
    const body = (await answer.json()) as {
      error?: string;
      data?: { resultType: string; result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    if (body.data === undefined) throw new Error(`${expr}: ${body.error}`);
    if (body.data.resultType !== 'vector') throw new Error(`${expr} is no vector`);
    return body.data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  async function stop() {
    child.kill('SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  try {
    const ready = () =>
      fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(`prometheus ended:\n${output}`);
        return await ready();
      },
      30_000,
      () => output,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    query,
    async sum(expr) {
      const samples = await query(expr);
      return samples.length === 0 ? null : samples.reduce((sum, { value }) => sum + value, 0);
    },
    async scrapedAt() {
      // Of anything but a bare selector timestamp() tells when it was asked.
      const [sample] = await query('timestamp(up{job="hearth"}) and on (instance) up{job="hearth"} == 1');
      return (sample?.value ?? 0) * 1000;
    },
    stop,
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('there is no free port');
  return address.port;
}
