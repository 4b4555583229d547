/** What a function may use, and what becomes of one that uses more. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, executionOf } from '../support/answers.js';
import { scrape, total } from '../support/metrics.js';
import { startNode, type TestNode, until } from '../support/node.js';

const MAX_BYTES = 20_000;

let node: TestNode;

beforeAll(async () => {
  node = await startNode({
    HEARTH_CALL_CPU_SECONDS: '1',
    HEARTH_MAX_REQUEST_BYTES: String(MAX_BYTES),
    HEARTH_MAX_RESPONSE_BYTES: String(MAX_BYTES),
  });
});
afterAll(async () => {
  await node?.remove();
});

const textOf = async (name: string) => await (await node.call(name)).text();

describe('work after the answer', () => {
  it('in a loop that never ends is over for whoever calls next: another process serves them', async () => {
    await node.deployFile('works_on.ts', {}, 'loops_on');
    const first = await (await node.call('loops_on?loop')).text();
    const next = await Promise.all(Array.from({ length: 5 }, async () => await textOf('loops_on')));
    for (const started of next) expect(started).toMatch(/^[0-9a-f-]{36}$/);
    expect(next).not.toContain(first);
  });

  it('in turns is ended where waitUntil does not hold it, and counted', async () => {
    await node.deployFile('works_on.ts', {}, 'turns_on');
    const first = await (await node.call('turns_on?turns')).text();
    const ended = async () =>
      total(await scrape(node.metrics_url), 'hearth_pool_ended_total', { hearth_reason: 'background' });
    const before = await ended();
    let last = 0;
    await until(
      async () => {
        last = await ended();
        return last > before;
      },
      30_000,
      () => `ended: ${last}`,
    );
    expect(await textOf('turns_on')).not.toBe(first);
  });
});

describe('CPU time', () => {
  it('beyond what one call may use ends its process, with the reason in answer and execution', async () => {
    await node.deployFile('works_on.ts', { timeout_seconds: 60, memory_limit_mb: 512 }, 'burns');
    const answer = await node.call('burns?worker');
    const error = await errorOf(answer);
    expect(error).toMatchObject({ status: 502, code: 'FUNCTION_CRASHED' });
    expect(error.error).toContain('CPU time');
    expect(await executionOf(node, answer)).toMatchObject({ status: 'error', error_message: error.error });
    expect((await node.call('burns')).status).toBe(200);
  });
});

describe('sizes', () => {
  beforeAll(async () => {
    await node.deployFile('works_on.ts', {}, 'sizes');
    await node.deployFile('counts_bytes.ts');
  });

  it('a request’s body over its limit is a 413, however it is framed', async () => {
    const fits = await node.call('counts_bytes', { method: 'POST', body: 'x'.repeat(MAX_BYTES) });
    expect(fits.status).toBe(200);
    const sized = await node.call('counts_bytes', { method: 'POST', body: 'x'.repeat(MAX_BYTES + 1) });
    expect(await errorOf(sized)).toMatchObject({ status: 413, code: 'TOO_LARGE' });
    const chunks = new ReadableStream({
      start(controller) {
        for (let chunk = 0; chunk < 3; chunk++) controller.enqueue(new Uint8Array(10_000));
        controller.close();
      },
    });
    const streamed = await node.call('counts_bytes', {
      method: 'POST',
      body: chunks,
      duplex: 'half',
    } as RequestInit);
    expect(await errorOf(streamed)).toMatchObject({ status: 413, code: 'TOO_LARGE' });
  });

  it.each([
    ['headers', 'longer than'],
    ['bytes', 'larger than'],
  ])('an answer with too many %s is the function’s error', async (kind, why) => {
    const answer = await node.call(`sizes?${kind}`);
    expect(await errorOf(answer)).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
    expect((await executionOf(node, answer)).error_message).toContain(why);
  });

  it('a stream breaks off when it is too long', async () => {
    const answer = await node.call('sizes?stream');
    await expect(answer.arrayBuffer()).rejects.toThrow();
    const execution = await executionOf(node, answer);
    expect(execution).toMatchObject({ status: 'error' });
    expect(execution.error_message).toContain('larger than');
  });

  it('a log has 10,000 lines at most, and says where it was cut', async () => {
    const answer = await node.call('sizes?lines');
    const { logs } = await executionOf(node, answer, (execution) => execution.logs?.includes('cut') ?? false);
    const lines = logs?.split('\n') ?? [];
    expect(lines).toHaveLength(10_000);
    expect(lines.at(-1)).toMatch(/logs cut at 10000 lines/);
  });
});
