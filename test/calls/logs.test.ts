/** What functions log: whose line it is, how it reads, how much of it is kept, and how it arrives live. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { executionOf, followLog, type LogEvent, linesOf } from '../support/answers.js';
import { startNode, type TestNode, until } from '../support/node.js';

let node: TestNode;

beforeAll(async () => {
  node = await startNode();
});
afterAll(() => node?.remove());

describe('the lines of 20 concurrent calls', () => {
  it('are unmixed, in their executions and live', async () => {
    await node.deployFile('logs_its_name.ts', { max_instances: 1 });
    const log = await followLog(node, 'logs_its_name');
    const calls = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const mark = `call-${index}`;
        const answer = await node.call(`logs_its_name?mark=${mark}`);
        expect(await answer.text()).toBe('logged');
        return { mark, id: answer.headers.get('x-execution-id') ?? '' };
      }),
    );
    await until(() => log.events().length >= 400);
    const events = log.events();
    await log.stop();
    expect(events).toHaveLength(400);
    for (const { mark, id } of calls) {
      const lines = Array.from({ length: 10 }, (_, n) => [`${mark} line ${n}`, `${mark} deep ${n}`]).flat();
      const execution = await executionOf(node, id, ({ logs }) => logs?.split('\n').length === 20);
      expect(execution.logs).toBe(lines.join('\n'));
      const live = events.filter((event) => event.execution_id === id);
      expect(live.map(({ message }) => message)).toEqual(lines);
    }
  });
});

describe('a line', () => {
  it('reads as Deno would print it, with its level, whichever method wrote it', async () => {
    await node.deployFile('logs_every_way.js');
    const log = await followLog(node, 'logs_every_way');
    const answer = await node.call('logs_every_way');
    const { logs } = await executionOf(node, answer, (execution) => execution.logs?.includes('🦕') ?? false);
    expect(logs).toContain('log 1 { a: [ 1, 2 ], deep: { x: null } }');
    expect(logs).toContain('\ninfo text and 42\n');
    expect(logs).toContain('\n[debug] debug\n');
    expect(logs).toContain('\n[warn] warn\n');
    expect(logs).toMatch(/\n\[error\] Error: an error as a value\n\s+at .*logs_every_way\.ts:7:17/);
    expect(logs).toContain('\n[error] Assertion failed: assertion\n');
    expect(logs).toMatch(/│ name\s+│/);
    expect(logs).toContain('\ngroup\ninside 1\n');
    expect(logs).toContain('\ncounter: 1\n');
    expect(logs).toContain('\n{ dir: true }\n');
    expect(logs).toContain('\ntwo\nlines\n');
    expect(logs).toContain('ünïcödé ✓ 🦕');
    await until(() => log.events().some(({ message }) => message.includes('🦕')));
    const levelOf = (message: string) => log.events().find((event) => event.message === message)?.level;
    expect(levelOf('debug')).toBe('debug');
    expect(levelOf('info text and 42')).toBe('info');
    expect(levelOf('warn')).toBe('warn');
    expect(levelOf('Assertion failed: assertion')).toBe('error');
    const [first] = log.events();
    expect(first).toMatchObject({ execution_id: answer.headers.get('x-execution-id'), level: 'log' });
    expect(Math.abs(Date.parse(first?.timestamp ?? '') - Date.now())).toBeLessThan(60_000);
    await log.stop();
  });
});

describe('more than 64 KiB of log', () => {
  it.each([1000, 10, 300_000])('is cut, and says so, with lines of %i characters', async (size) => {
    const name = `logs_too_much_${size}`;
    await node.deployFile('logs_too_much.js', {}, name);
    const answer = await node.call(`${name}?line=${size}`);
    expect(await answer.text()).toBe('logged');
    const { logs } = await executionOf(node, answer, ({ logs }) => logs?.includes('cut at') ?? false);
    const bytes = Buffer.byteLength(logs ?? '');
    expect(bytes).toBeLessThanOrEqual(64 * 1024);
    expect(bytes).toBeGreaterThan(60 * 1024);
    expect(logs).toMatch(/cut at 64 KiB\]$/);
    expect(logs).not.toContain('never seen');
    expect(logs).not.toContain('\ufffd');
    expect((await node.call(name)).status).toBe(200);
  });
});

describe('lines that come late', () => {
  it('are added to the execution after its answer', async () => {
    await node.deployFile('logs_after_its_answer.ts');
    const answer = await node.call('logs_after_its_answer');
    const { logs } = await executionOf(node, answer, ({ logs }) => logs?.includes('after the') ?? false);
    expect(logs).toBe('before the answer\nafter the answer');
  });

  it('are added from waitUntil, and so is what it rejects with', async () => {
    const waits = await node.call('logs_after_its_answer?wait');
    const { logs } = await executionOf(node, waits, ({ logs }) => logs?.includes('waitUntil') ?? false);
    expect(logs).toBe('before the answer\nafter the answer\nfrom waitUntil');
    const fails = await node.call('logs_after_its_answer?fail');
    const failed = await executionOf(node, fails, ({ logs }) => logs?.includes('too late') ?? false);
    expect(failed.logs).toContain('[error] waitUntil: Error: too late');
    expect(failed.status).toBe('success');
  });
});

it('are not kept of a function with disable_execution_logs', async () => {
  await node.deployFile('logs_every_way.js', { disable_execution_logs: true }, 'keeps_quiet');
  const answer = await node.call('keeps_quiet');
  expect(await answer.text()).toBe('logged');
  // The next call's execution is there, and with it everything of the one before.
  await executionOf(node, await node.call('keeps_quiet'));
  const stored = linesOf(await node.api('/api/v1/functions/keeps_quiet/logs'));
  await until(() => stored.ended() !== null);
  expect(stored.waiting()).toEqual([]);
  expect((await executionOf(node, answer)).logs).toBeNull();
});

it('written while the module loads belong to no execution, and are seen live', async () => {
  await node.deployFile('logs_at_module_level.js');
  const log = await followLog(node, 'logs_at_module_level');
  expect((await node.call('logs_at_module_level')).status).toBe(200);
  await until(() => log.events().length > 0);
  expect(log.events()).toEqual([
    expect.objectContaining({ execution_id: null, level: 'warn', message: 'the module loads' }),
  ]);
  await log.stop();
});

it('are seen live one by one, through whichever router someone follows', async () => {
  await node.deployFile('sends_when_told.ts', { max_instances: 1 });
  // Connections are dealt out in turn, so that six of them reach both routers.
  const logs = await Promise.all(Array.from({ length: 6 }, () => followLog(node, 'sends_when_told')));
  for (let line = 0; line < 5; line++) {
    expect(await (await node.call(`sends_when_told/log?text=line-${line}`)).text()).toBe('nobody listens');
    await until(() => logs.every((log) => log.events().length === line + 1));
  }
  const texts = (events: LogEvent[]) => events.map(({ message }) => message);
  for (const log of logs)
    expect(texts(log.events())).toEqual(['line-0', 'line-1', 'line-2', 'line-3', 'line-4']);
  await Promise.all(logs.map((log) => log.stop()));
});
