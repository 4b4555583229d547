/** A node whose memory for functions holds two or three small processes, and has more functions than that. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { scrape, total } from '../support/metrics.js';
import { startNode, type TestNode, until } from '../support/node.js';

let node: TestNode;

beforeAll(async () => {
  node = await startNode({ HEARTH_MEMORY_MB: '128', HEARTH_ROUTERS: '1', HEARTH_POOL_SIZE: '1' });
});
afterAll(() => node?.remove());

const processes = async (state: string) =>
  total(await scrape(node.metrics_url), 'hearth_pool_processes', { hearth_state: state });

it('serves them all, and ends idle processes to stay within it', async () => {
  const names = ['one', 'two', 'three', 'four'];
  await Promise.all(names.map((name) => node.deployFile('returns_text.js', {}, name)));
  // All at once: what has no room waits until one of the others has been idle for a moment.
  const answers = await Promise.all(names.map((name) => node.call(name)));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  await until(async () => (await processes('live')) + (await processes('draining')) <= 3);
  const evicted = total(await scrape(node.metrics_url), 'hearth_pool_ended_total', {
    hearth_reason: 'evicted',
  });
  expect(evicted).toBeGreaterThanOrEqual(1);
  // Measured once a second.
  await until(async () => {
    const page = await scrape(node.metrics_url);
    return total(page, 'hearth_pool_memory_usage_bytes') <= total(page, 'hearth_pool_memory_limit_bytes');
  });
});
