/** Attacks on what there is a limited amount of: memory, threads, files, sockets, timers, and room in the log. */
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { errorOf, executionOf } from '../support/answers.js';
import { growthOf } from '../support/memory.js';
import { underEachSandbox } from './stage.js';

const MIB = 1024 * 1024;
const SMALL = { memory_limit_mb: 64, timeout_seconds: 10 };
const SCRATCH = { allow_read: true, allow_write: true, timeout_seconds: 10 };

underEachSandbox('bombs', (stage) => {
  it.each([
    'fills_the_heap',
    'fills_array_buffers',
    'fills_wasm_memory',
    'fills_shared_memory',
    'fills_the_heaps_of_workers',
    'starts_many_workers',
    'fills_strings',
    'unpacks_a_bomb',
    'declares_a_huge_module',
    'answers_with_huge_json',
  ])('%s.ts is stopped by its memory limit, and is told so', async (file) => {
    const name = await stage.deploy(file, { settings: SMALL });
    const answer = await stage.node.call(name);
    const error = await errorOf(answer);
    const execution = await executionOf(stage.node, answer);
    expect(execution).toMatchObject({ status: 'error', status_code: error.status });
    // Where Deno can refuse the memory, the function gets an error of its own; else its process ends.
    if (error.code === 'FUNCTION_ERROR')
      expect(execution.error_message).toMatch(/alloc|memory|string length/i);
    else expect(error).toMatchObject({ status: 502, code: 'MEMORY_LIMIT' });
  });

  it.each([
    'logs_without_end',
    'logs_one_huge_line',
    'logs_outside_of_calls',
    'floods_standard_output',
    'floods_standard_error',
  ])('%s.ts costs no memory of the node, and keeps a log of 64 KiB', async (file) => {
    const name = await stage.deploy(file, { settings: { timeout_seconds: 10, memory_limit_mb: 512 } });
    let answer: Response | undefined;
    const grown = await growthOf(stage.platform(), async () => {
      answer = await stage.node.call(name);
    });
    expect(grown).toBeLessThan(96 * MIB);
    if (answer === undefined) throw new Error('no answer');
    // Who writes more than is read waits for its pipe, and may be out of time for it.
    const slowed = file.startsWith('floods_') && answer.status === 504;
    if (!slowed) expect(answer.status, await answer.clone().text()).toBe(200);
    const logs = (await executionOf(stage.node, answer)).logs ?? '';
    expect(Buffer.byteLength(logs)).toBeLessThan(66 * 1024);
    if (file === 'logs_without_end' || file === 'logs_one_huge_line') {
      const cut = await executionOf(stage.node, answer, (execution) => execution.logs !== null);
      expect(cut.logs).toMatch(/cut/);
    }
  });

  it.each([
    ['fills_scratch', 'written', 300 * MIB],
    ['writes_one_huge_file', 'written', 300 * MIB],
    ['makes_many_files', 'made', 20_000],
    ['fills_web_storage', 'written', 300 * MIB],
    ['opens_many_files', 'open', 1024],
  ] as const)('%s.ts is refused at some point', async (file, what, limit) => {
    // Without a sandbox it writes to the disk, which takes as long as it takes.
    const name = await stage.deploy(file, { settings: { ...SCRATCH, timeout_seconds: 60 } });
    const answer = await stage.node.call(name);
    const text = await answer.text();
    await stage.remove(name);
    // The temporary files are memory: the process may be ended for them.
    if (answer.status === 502 && stage.differs(file)) return expect(text).toContain('FUNCTION_CRASHED');
    if (answer.status === 502) return expect(text).toContain('MEMORY_LIMIT');
    expect(answer.status, text).toBe(200);
    const found: Record<string, unknown> = JSON.parse(text);
    if (stage.differs(file)) return;
    expect(found.refused, text).toEqual(expect.any(String));
    expect(found[what]).toBeLessThan(limit);
  });

  it('opens_many_sockets.ts is refused at some point', async () => {
    let open = 0;
    const server = createServer((socket) => {
      open++;
      socket.on('error', () => {}); // it is broken off when the process ends
      socket.on('close', () => open--);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const address = server.address();
      const port = typeof address === 'object' ? address?.port : 0;
      const { text } = await stage.attack('opens_many_sockets', { json: { hostname: '127.0.0.1', port } });
      expect(JSON.parse(text)).toMatchObject({ refused: expect.any(String) });
      expect(open).toBeLessThan(1024);
    } finally {
      await stage.remove('opens_many_sockets');
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('calls_the_platform_without_end.ts gets what everyone gets', async () => {
    const { answer } = await stage.attack('calls_the_platform_without_end', { settings: SCRATCH });
    expect([200, 502, 504]).toContain(answer.status);
  });

  it('starts_many_timers.ts hurts its own calls alone', async () => {
    const { answer } = await stage.attack('starts_many_timers', { settings: { timeout_seconds: 2 } });
    expect([200, 502, 504]).toContain(answer.status);
    await stage.remove('starts_many_timers');
  });

  it('makes_many_promises.ts is no attack, and is answered', async () => {
    const { answer, text } = await stage.attack('makes_many_promises');
    expect([answer.status, text]).toEqual([200, '{"sum":10000}']);
  });

  it.each([
    ['rejects_many_promises', 'still here'],
    ['waits_for_many_promises_after_its_answer', 'answered'],
  ])('%s.ts is answered, and its log is cut', async (file, body) => {
    const { answer, text } = await stage.attack(file, { settings: { timeout_seconds: 30 } });
    expect([answer.status, text]).toEqual([200, body]);
    const execution = await executionOf(stage.node, answer, ({ logs }) => logs !== null);
    expect(execution.status).toBe('success');
    expect(Buffer.byteLength(execution.logs ?? '')).toBeLessThan(66 * 1024);
  });

  it('answers_without_end.ts is cut off when its time is up, and is held nowhere', async () => {
    const name = await stage.deploy('answers_without_end', { settings: { timeout_seconds: 2 } });
    let received = 0;
    const grown = await growthOf(stage.platform(), async () => {
      const answer = await stage.node.call(name);
      expect(answer.status).toBe(200);
      await expect(
        (async () => {
          for await (const chunk of answer.body ?? []) received += chunk.length;
        })(),
      ).rejects.toThrow();
      const execution = await executionOf(stage.node, answer);
      expect(execution.status).toMatch(/^(timeout|error)$/);
    });
    expect(received).toBeGreaterThan(0);
    expect(grown).toBeLessThan(128 * MIB);
  });

  it.each(['answers_with_many_headers', 'answers_with_a_huge_header'])(
    '%s.ts is not passed on',
    async (file) => {
      const name = await stage.deploy(file);
      const answer = await stage.node.call(name);
      const error = await errorOf(answer);
      expect(error.status).toBeGreaterThanOrEqual(500);
      expect(await executionOf(stage.node, answer)).toMatchObject({ status: 'error' });
    },
  );
});
