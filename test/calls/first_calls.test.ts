/** First calls of many functions at once: each gets a process of its own, and none loses it to another's. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { executionOf } from '../support/answers.js';
import { startNode, type TestNode } from '../support/node.js';

let node: TestNode;

beforeAll(async () => {
  node = await startNode({ HEARTH_POOL_SIZE: '4' });
});
afterAll(() => node?.remove());

it('are all answered, a process starting or waiting for each', async () => {
  for (let round = 0; round < 4; round++) {
    const names = Array.from({ length: 8 }, (_, index) => `first_${round}_${index}`);
    await Promise.all(names.map((name) => node.deployFile('returns_text.js', {}, name)));
    const answers = await Promise.all(names.map((name) => node.call(name)));
    for (const answer of answers) {
      expect([answer.status, await answer.text()]).toEqual([200, 'just text']);
      expect(await executionOf(node, answer)).toMatchObject({ cold_start: true, status: 'success' });
    }
  }
});
