/** Attacks on time: loops at every place, and work that goes on when its call is over. */
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { errorOf, executionOf } from '../support/answers.js';
import { until } from '../support/node.js';
import { underEachSandbox } from './stage.js';

underEachSandbox('loops', (stage) => {
  it.concurrent.each([
    'loops_in_the_handler',
    'loops_while_loading',
    'waits_while_loading',
    'loops_in_microtasks',
    'loops_in_ticks',
    'backtracks',
    'loops_in_a_getter',
    'loops_in_tojson',
    'loops_in_its_error',
    'never_settles',
    'blocks_its_thread',
    'searches_for_ever',
  ])('%s.ts is a 504 when its time is up, and an execution', async (file) => {
    const name = await stage.deploy(file, { settings: { timeout_seconds: 1 } });
    const answer = await stage.callTaken(name);
    expect(await errorOf(answer)).toMatchObject({ status: 504, code: 'FUNCTION_TIMEOUT' });
    expect(await executionOf(stage.node, answer)).toMatchObject({ status: 'timeout', status_code: 504 });
  });

  it('recurses.ts is a 500', async () => {
    const name = await stage.deploy('recurses');
    const answer = await stage.node.call(name);
    expect(await errorOf(answer)).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
    const execution = await executionOf(stage.node, answer);
    expect(execution.error_message).toContain('Maximum call stack size exceeded');
  });

  it('recurses_in_its_answer.ts is answered, or is its own trouble', async () => {
    const name = await stage.deploy('recurses_in_its_answer');
    const answer = await stage.node.call(name);
    const text = await answer.text().catch(() => 'broken off');
    if (answer.status === 200) expect(text).toMatch(/^\{"nested":.*\}$|^broken off$/);
    else expect(text).toMatch(/"code":"(FUNCTION_(ERROR|CRASHED|TIMEOUT)|MEMORY_LIMIT)"/);
  });

  it('loops_after_its_answer.ts keeps its answer, and gets another process for the next', async () => {
    const name = await stage.deploy('loops_after_its_answer', { settings: { timeout_seconds: 2 } });
    const first = await stage.node.call(name);
    expect([first.status, await first.text()]).toEqual([200, 'answered']);
    await until(async () => {
      const next = await stage.node.call(`${name}?next`);
      if (next.status === 200) return (await next.text()) === 'the next call';
      // It came to the process before its loop was known to be stuck.
      expect(await errorOf(next)).toMatchObject({ status: 504, code: 'FUNCTION_TIMEOUT' });
      return false;
    });
    await stage.remove(name);
  });

  it.concurrent.each([
    'burns_after_its_answer',
    'burns_in_a_worker_after_its_answer',
    'waits_for_ever_behind_waituntil',
  ])('%s.ts is ended some time after its answer', async (file) => {
    let beats = 0;
    const server = createServer((_, response) => {
      beats++;
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = server.address();
      const port = typeof address === 'object' ? address?.port : 0;
      const settings = { timeout_seconds: 3, memory_limit_mb: 512 };
      const { answer, text } = await stage.attack(file, {
        settings,
        json: { beat: `http://127.0.0.1:${port}/` },
      });
      expect([answer.status, text]).toEqual([200, 'answered']);
      // Ended is what says nothing for half a second: a beat of these is 50 ms.
      await until(
        async () => {
          const before = beats;
          await sleep(500);
          return before > 0 && beats === before;
        },
        30_000,
        () => `it still works: ${beats} beats`,
      );
    } finally {
      await stage.remove(file);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
