/** Functions that misbehave: each gets the contract's error and an execution that says why, and its neighbours never notice. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, executionOf, followLog } from '../support/answers.js';
import { startNode, type TestNode, until } from '../support/node.js';

let node: TestNode;
let neighbour: Promise<void>;
let watching = true;
const troubles: string[] = [];

beforeAll(async () => {
  node = await startNode();
  await node.deployFile('returns_text.js', {}, 'neighbour');
  // A function beside them is called all the while.
  neighbour = (async () => {
    while (watching) {
      const answer = await node.call('neighbour').catch((error: unknown) => String(error));
      const text = typeof answer === 'string' ? answer : await answer.text();
      if (text !== 'just text') troubles.push(text);
      await sleep(50);
    }
  })();
});
afterAll(async () => {
  watching = false;
  await neighbour;
  await node?.remove();
});
afterEach(() => {
  expect(troubles, 'what the neighbour’s caller saw').toEqual([]);
});

describe('what cannot be an answer', () => {
  it.each([
    ['returns_undefined.js', /undefined, which cannot be an answer/],
    ['returns_circular.js', /not JSON: .*circular/],
    ['returns_status_999.js', /status 999/],
    ['returns_status_nan.js', /status NaN/],
    ['returns_header_with_newline.js', /headers that cannot be sent/],
    ['returns_bigint.js', /not JSON: .*BigInt/],
    ['returns_used_body.js', /body was already used/],
    ['returns_locked_body.js', /is locked/],
    ['returns_error_response.js', /Response\.error\(\)/],
    ['returns_symbol.js', /symbol, which cannot be an answer/],
    ['returns_function.js', /function, which cannot be an answer/],
    ['returns_throwing_tojson.js', /not to be shown/],
  ])('%s is a 500, and the execution says what was wrong', async (file, why) => {
    await node.deployFile(file);
    const answer = await node.call(file.replace('.js', ''));
    const error = await errorOf(answer);
    expect(error).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
    expect(error.error).not.toMatch(why);
    const execution = await executionOf(node, answer);
    expect(execution).toMatchObject({
      status: 'error',
      status_code: 500,
      trigger_type: 'http',
      result: null,
    });
    expect(execution.error_message).toMatch(why);
    // The same process serves on.
    expect(await errorOf(await node.call(file.replace('.js', '')))).toMatchObject({ status: 500 });
  });
});

describe('what is thrown', () => {
  it('an Error: its stack is in the execution and in the log, with the user’s own line', async () => {
    await node.deployFile('throws_an_error.ts');
    const answer = await node.call('throws_an_error');
    const error = await errorOf(answer);
    expect(error).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
    expect(JSON.stringify(error)).not.toContain('secret-order');
    const execution = await executionOf(node, answer, ({ logs }) => logs !== null);
    expect(execution).toMatchObject({ status: 'error', error_message: 'cannot load secret-order' });
    expect(execution.error_stack).toMatch(
      /^TypeError: cannot load secret-order\n\s+at load \(.*throws_an_error\.ts:11:9\)\n\s+at .*answer.*:7:24/,
    );
    expect(execution.logs).toContain('TypeError: cannot load secret-order');
    expect(execution.cold_start).toBe(true);
    expect(execution.cpu_ms).toBeGreaterThan(0);
    expect(execution.duration_ms).toBeGreaterThan(0);
    const again = await executionOf(node, await node.call('throws_an_error'));
    expect(again.cold_start).toBe(false);
  });

  it.each([
    ['throws_a_string.js', 'only words'],
    ['throws_null.js', 'null'],
    ['throws_a_trap.js', 'a value that cannot be shown'],
    ['throws_an_error_that_traps.js', 'a value that cannot be shown'],
  ])('%s is a 500, and the execution says %j', async (file, message) => {
    await node.deployFile(file);
    const answer = await node.call(file.replace('.js', ''));
    expect(await errorOf(answer)).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
    expect(await executionOf(node, answer)).toMatchObject({
      status: 'error',
      error_message: message,
      error_stack: null,
    });
  });

  it.each(['rejects_unhandled.js', 'throws_in_a_timer.js', 'throws_in_a_timer_of_its_own.js'])(
    '%s is logged, and does not end the process',
    async (file) => {
      await node.deployFile(file);
      const name = file.replace('.js', '');
      const answer = await node.call(name);
      expect(answer.status).toBe(200);
      const started = await answer.text();
      const thrown = name === 'rejects_unhandled' ? 'nobody catches this' : 'thrown in a timer';
      const execution = await executionOf(node, answer, ({ logs }) => logs?.includes(thrown) ?? false);
      expect(execution).toMatchObject({ status: 'success', error_message: null });
      expect(await (await node.call(`${name}?started`)).text()).toBe(started);
    },
  );
});

describe('what takes too long', () => {
  it('a promise that never resolves is a 504, and the next call is fine', async () => {
    await node.deployFile('never_resolves.js', { timeout_seconds: 1 });
    const answer = await node.call('never_resolves');
    const error = await errorOf(answer);
    expect(error).toMatchObject({ status: 504, code: 'FUNCTION_TIMEOUT' });
    expect(await (await node.call('never_resolves?quick')).text()).toBe('quick');
    const execution = await executionOf(node, answer);
    expect(execution).toMatchObject({ status: 'timeout', status_code: 504, error_message: error.error });
    expect(execution.duration_ms).toBeGreaterThanOrEqual(1000);
  });

  it('an infinite loop is a 504; calls that had not reached it are served by another process', async () => {
    await node.deployFile('infinite_loop.js', { timeout_seconds: 3 });
    const before: unknown = await (await node.call('infinite_loop')).json();
    const log = await followLog(node, 'infinite_loop');
    const looping = node.call('infinite_loop?loop');
    await until(() => log.events().some(({ message }) => message === 'the loop begins'));
    await log.stop();
    // Younger than the loop by more than one look at the clock, so that its time is up before theirs.
    await sleep(250);
    const others = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        // One in two has a body, which goes along to the other process.
        const init = index % 2 === 0 ? {} : { method: 'POST', body: 'a body' };
        const answer = await node.call('infinite_loop', init);
        return { status: answer.status, body: (await answer.json()) as unknown };
      }),
    );
    for (const { status, body } of others) {
      expect(status, JSON.stringify(body)).toBe(200);
      expect(body).not.toEqual(before);
    }
    const answer = await looping;
    expect(await errorOf(answer)).toMatchObject({ status: 504, code: 'FUNCTION_TIMEOUT' });
    const execution = await executionOf(node, answer);
    expect(execution).toMatchObject({ status: 'timeout', status_code: 504, logs: 'the loop begins' });
  });

  it.each(['waits_while_loading.js', 'loops_while_loading.js'])(
    '%s is a 504 once the time is up, and an execution',
    async (file) => {
      await node.deployFile(file, { timeout_seconds: 1 });
      const answer = await node.call(file.replace('.js', ''));
      expect(await errorOf(answer)).toMatchObject({ status: 504, code: 'FUNCTION_TIMEOUT' });
      expect(await executionOf(node, answer)).toMatchObject({
        status: 'timeout',
        status_code: 504,
        cold_start: true,
      });
    },
  );
});

describe('what ends its process', () => {
  it.each(['exits.js', 'exits_through_node.js'])('%s is a 502, and the next call too', async (file) => {
    await node.deployFile(file);
    const name = file.replace('.js', '');
    for (let call = 0; call < 2; call++) {
      const answer = await node.call(name);
      expect(await errorOf(answer)).toMatchObject({ status: 502, code: 'FUNCTION_CRASHED' });
      const execution = await executionOf(node, answer);
      expect(execution).toMatchObject({ status: 'error', status_code: 502, cold_start: true });
      expect(execution.error_message).toMatch(/ended/);
    }
  });

  it('kills_itself.js does not get to, or is a 502', async () => {
    await node.deployFile('kills_itself.js');
    const answer = await node.call('kills_itself');
    // The first process of a sandbox is deaf to signals from within; without one, they end it.
    if (answer.status === 200) expect(await answer.text()).toBe('still here');
    else expect(await errorOf(answer)).toMatchObject({ status: 502, code: 'FUNCTION_CRASHED' });
  });

  it('heap_bomb.js is a 502 MEMORY_LIMIT', async () => {
    await node.deployFile('heap_bomb.js', { memory_limit_mb: 64, timeout_seconds: 60 });
    const answer = await node.call('heap_bomb');
    const error = await errorOf(answer);
    expect(error).toMatchObject({ status: 502, code: 'MEMORY_LIMIT' });
    expect(error.error).toContain('64 MiB');
    expect(await executionOf(node, answer)).toMatchObject({
      status: 'error',
      status_code: 502,
      error_message: error.error,
    });
  });

  it('array_buffer_bomb.js is refused the memory: it throws, or its process ends', async () => {
    await node.deployFile('array_buffer_bomb.js', { memory_limit_mb: 64, timeout_seconds: 60 });
    const answer = await node.call('array_buffer_bomb');
    const { code } = await errorOf(answer);
    const execution = await executionOf(node, answer);
    expect([code, execution.error_message]).toEqual(
      code === 'FUNCTION_ERROR'
        ? ['FUNCTION_ERROR', 'Array buffer allocation failed']
        : ['MEMORY_LIMIT', expect.stringContaining('64 MiB')],
    );
  });
});

describe('what cannot load', () => {
  it('throws_while_loading.ts is a 500, and the execution has the stack with the user’s own line', async () => {
    await node.deployFile('throws_while_loading.ts');
    for (let call = 0; call < 2; call++) {
      const answer = await node.call('throws_while_loading');
      const error = await errorOf(answer);
      expect(error).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
      expect(error.error).not.toContain('DATABASE');
      const execution = await executionOf(node, answer);
      expect(execution).toMatchObject({
        status: 'error',
        status_code: 500,
        cold_start: true,
        error_message: 'DATABASE is not configured',
      });
      expect(execution.error_stack).toMatch(/at configure \(.*throws_while_loading\.ts:5:\d+\)/);
    }
  });

  it.each([
    ['exits_while_loading.js', 'FUNCTION_CRASHED'],
    ['bomb_while_loading.js', 'MEMORY_LIMIT'],
  ])('%s is a 502 %s', async (file, code) => {
    await node.deployFile(file, { memory_limit_mb: 64 });
    const answer = await node.call(file.replace('.js', ''));
    expect(await errorOf(answer)).toMatchObject({ status: 502, code });
    expect(await executionOf(node, answer)).toMatchObject({ status: 'error', status_code: 502 });
  });

  it('is told to every one of the calls that waited for it', async () => {
    await node.deployFile('throws_while_loading.ts', {}, 'awaited_in_vain');
    const answers = await Promise.all(Array.from({ length: 10 }, () => node.call('awaited_in_vain')));
    for (const answer of answers)
      expect(await errorOf(answer)).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
  });

  it('serves the next version as soon as the code is put right', async () => {
    await node.deployFile('throws_while_loading.ts', {}, 'put_right');
    expect((await node.call('put_right')).status).toBe(500);
    const change = await node.api('/api/v1/functions/put_right', {
      method: 'PATCH',
      json: { code: 'export default () => "right";' },
    });
    expect(change.status).toBe(200);
    expect(await (await node.call('put_right')).text()).toBe('right');
  });
});

describe('what uses all that a process may have', () => {
  it('holds_every_file.js: a call that comes meanwhile is answered when one is free', async () => {
    await node.deployFile('holds_every_file.js', { max_instances: 1, allow_read: true, allow_write: true });
    expect(await (await node.call('holds_every_file')).text()).toMatch(/^\d{3,4} files, then .*os error 24/);
    // It goes over HTTP, on a connection of its own.
    const head = node.call('holds_every_file?free', { method: 'HEAD' });
    let answered = false;
    void head.then(() => {
      answered = true;
    });
    expect(await (await node.call('holds_every_file')).text()).toMatch(/^\d+ files, then /);
    expect(answered).toBe(false);
    expect(await (await node.call('holds_every_file?free')).text()).toBe('freed');
    expect((await head).status).toBe(200);
  });
});

describe('what goes at the platform itself', () => {
  it('breaks_the_runtime.js harms no one but itself', async () => {
    await node.deployFile('breaks_the_runtime.js');
    const answer = await node.call('breaks_the_runtime');
    expect([answer.status, await answer.text()]).toEqual([200, 'still works']);
    expect(answer.headers.get('x-still')).toBe('here');
    // Over HTTP, which Deno loads when it is first needed.
    const head = await node.call('breaks_the_runtime', { method: 'HEAD' });
    expect([head.status, head.headers.get('x-still')]).toEqual([200, 'here']);
    const large = await node.call('breaks_the_runtime', { method: 'POST', body: 'x'.repeat(100_000) });
    expect([large.status, await large.text()]).toEqual([200, 'still works']);
    const thrown = await node.call('breaks_the_runtime?throw');
    expect(await errorOf(thrown)).toMatchObject({ status: 500, code: 'FUNCTION_ERROR' });
    const execution = await executionOf(node, thrown, ({ logs }) => logs !== null);
    expect(execution).toMatchObject({ status: 'error', error_message: 'thrown all the same' });
  });

  it('passes_for_the_platform.js passes for nothing but its own answer', async () => {
    await node.deployFile('passes_for_the_platform.js');
    const answer = await node.call('passes_for_the_platform');
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ name: 'Forged' });
    expect(answer.headers.get('x-hearth')).toBeNull();
    expect(await executionOf(node, answer)).toMatchObject({ status: 'success', error_message: null });
  });
});
