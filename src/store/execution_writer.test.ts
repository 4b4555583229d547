import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { execution, FUNCTION_ID, uuidv7 } from '../../test/support/executions.js';
import { run, startTestPostgres, type TestPostgres, until } from '../../test/support/postgres.js';
import { connect, type SocketConnection, type Sql } from './connection.js';
import { CUT_BYTES, cut64k } from './cut.js';
import { copyLines } from './execution_copy.js';
import { createToLine } from './execution_row.js';
import { createExecutionWriter, type ExecutionWriterOptions } from './execution_writer.js';
import { createExecutions } from './executions.js';

let postgres: TestPostgres;
let connection: SocketConnection;
let sql: Sql;

beforeAll(async () => {
  postgres = await startTestPostgres();
  connection = await postgres.database();
});

beforeEach(async () => {
  sql = connect(connection, { name: 'writer test' });
  await sql`truncate executions`;
});

afterEach(async () => {
  await sql.end({ timeout: 1 });
});

afterAll(async () => {
  await postgres?.stop();
});

function writer(options: ExecutionWriterOptions = {}) {
  const errors: string[] = [];
  const made = createExecutionWriter(sql, { onError: (error) => errors.push(String(error)), ...options });
  return { ...made, errors };
}

async function count(): Promise<number> {
  const [row] = await run(connection, 'select count(*)::int as n from executions');
  return Number(row?.n);
}

describe('the execution writer', () => {
  it('writes 10,000 executions by itself', async () => {
    const { add, stats, stop } = writer();
    for (let n = 0; n < 10_000; n++) add(execution({ request_id: `r${n}` }));
    expect(stats()).toEqual({ buffered: 10_000, written: 0, dropped: 0 });
    await until('all to be written', () => stats().written === 10_000);
    expect(await count()).toBe(10_000);
    await stop();
  });

  it('gives back what it was given, whatever characters it has', async () => {
    const weird = 'tab\t newline\n return\r backslash\\ \\N \\. "quote" \u{1f525} ü \u2028 \x01 \x7f end';
    const given = execution({
      function_name: weird,
      request_id: '\\N',
      trigger_payload: { text: weird, nul: '\0', nested: [1, null, { a: true }] },
      result: weird,
      logs: '\\.',
      error_message: '',
      error_stack: `${weird}\n`,
      status: 'error',
      status_code: 500,
    });
    const bare = execution({
      trigger_payload: null,
      result: null,
      completed_at: null,
      cpu_ms: null,
      status_code: null,
    });
    const { add, stop, errors } = writer();
    add(given);
    add(bare);
    await stop();
    expect(errors).toEqual([]);
    const { find } = createExecutions(sql);
    expect(await find('default', given.id)).toEqual(given);
    expect(await find('default', bare.id)).toEqual(bare);
  });

  it('leaves out NULs and replaces lone surrogates', async () => {
    const given = execution({ result: 'a\0b\ud800c', trigger_payload: 'x\udfffy' });
    const { add, stop, errors } = writer();
    add(given);
    await stop();
    expect(errors).toEqual([]);
    const found = await createExecutions(sql).find('default', given.id);
    expect(found?.result).toBe('ab\ufffdc');
    expect(found?.trigger_payload).toBe('x\udfffy');
  });

  it('cuts long texts and long payloads at 64 KiB', async () => {
    const long = '🔥'.repeat(40_000);
    const given = execution({ result: long, logs: long, error_stack: long, trigger_payload: { long } });
    const { add, stop } = writer();
    add(given);
    await stop();
    const found = await createExecutions(sql).find('default', given.id);
    expect(found?.result).toBe(cut64k(long));
    expect(found?.logs).toBe(cut64k(long));
    expect(found?.error_stack).toBe(cut64k(long));
    expect(found?.trigger_payload).toMatch(/^\{"long":"🔥.*… \[cut at 64 KiB\]$/u);
  });

  it('full, drops the oldest and counts them', async () => {
    const { add, stats, stop } = writer({ maxRows: 10, intervalMs: 60_000 });
    for (let n = 0; n < 25; n++) add(execution({ request_id: `r${n}` }));
    expect(stats()).toEqual({ buffered: 10, written: 0, dropped: 15 });
    await stop();
    expect(stats()).toEqual({ buffered: 0, written: 10, dropped: 15 });
    const rows = await run(connection, 'select request_id from executions');
    expect(rows.map((row) => row.request_id).sort()).toEqual(
      Array.from({ length: 10 }, (_, n) => `r${n + 15}`),
    );
  });

  it('is full by bytes too', async () => {
    const { add, stats, stop } = writer({ maxBytes: 100_000, intervalMs: 60_000 });
    for (let n = 0; n < 20; n++) add(execution({ logs: 'x'.repeat(20_000) }));
    expect(stats().buffered).toBe(4);
    expect(stats().dropped).toBe(16);
    await stop();
    expect(stats().written).toBe(4);
  });

  it('loses nothing that fits while the database is away', async () => {
    const { add, flush, stats, stop, errors } = writer();
    add(execution({ request_id: 'before' }));
    await flush();
    await postgres.pause();
    try {
      for (let n = 0; n < 3000; n++) add(execution({ request_id: `r${n}` }));
      await until('a failed attempt', () => errors.length > 0);
      await expect(flush()).rejects.toThrow();
      expect(stats()).toEqual({ buffered: 3000, written: 1, dropped: 0 });
    } finally {
      await postgres.resume();
    }
    await until('all to be written', () => stats().written === 3001);
    expect(await count()).toBe(3001);
    expect(stats()).toEqual({ buffered: 0, written: 3001, dropped: 0 });
    await stop();
  });

  it('loses nothing when its connection is cut at any moment', async () => {
    const { add, flush, stats, stop } = writer({ intervalMs: 1 });
    const cut = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'writer test'`;
    for (let round = 0; round < 15; round++) {
      for (let n = 0; n < 400; n++) add(execution({ logs: 'x'.repeat(1000) }));
      const flushed = flush().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, round * 2));
      await run(connection, cut);
      await flushed;
    }
    await stop();
    expect(stats()).toEqual({ buffered: 0, written: 6000, dropped: 0 });
    expect(await count()).toBe(6000);
  });

  it('finds the rows that PostgreSQL refuses, drops and counts them, and keeps the others', async () => {
    const { add, flush, stats, stop, errors } = writer({ intervalMs: 60_000 });
    const again = execution();
    const circular: { self?: unknown } = {};
    circular.self = circular;
    add(again);
    await flush();
    for (let n = 0; n < 500; n++) {
      add(execution());
      if (n === 100) add(execution({ id: 'no uuid' }));
      if (n === 200) add(execution({ status_code: 1_000_000 }));
      if (n === 300) add(execution({ executed_at: new Date(Number.NaN), id: uuidv7(new Date()) }));
      if (n === 400) add(execution({ trigger_payload: circular }));
      if (n === 450) add(again);
    }
    await flush();
    expect(await count()).toBe(501);
    expect(stats()).toEqual({ buffered: 0, written: 502, dropped: 4 });
    expect(errors).toEqual([
      expect.stringContaining('RangeError'),
      expect.stringContaining('circular'),
      expect.stringContaining('invalid input syntax for type uuid'),
      expect.stringContaining('out of range'),
    ]);
    add(execution());
    await stop();
    expect(await count()).toBe(502);
  });

  it('keeps rows that are refused for a reason that is not theirs', async () => {
    const { add, flush, stats, stop } = writer({ intervalMs: 60_000 });
    await run(connection, 'alter table executions rename to hidden');
    add(execution());
    await expect(flush()).rejects.toThrow('relation "executions" does not exist');
    expect(stats()).toEqual({ buffered: 1, written: 0, dropped: 0 });
    await run(connection, 'alter table hidden rename to executions');
    await stop();
    expect(stats()).toEqual({ buffered: 0, written: 1, dropped: 0 });
  });

  it('gives up at the deadline of its stop, and counts what it could not write', async () => {
    const { add, stats, stop } = writer();
    await postgres.pause();
    try {
      add(execution());
      await stop(50);
      add(execution());
      expect(stats()).toEqual({ buffered: 0, written: 0, dropped: 2 });
    } finally {
      await postgres.resume();
    }
  });

  it('writes to an index that lists a function newest first', async () => {
    const { add, stop } = writer();
    const now = new Date();
    for (let n = 0; n < 5; n++) add(execution({ id: uuidv7(now, n), executed_at: now, request_id: `r${n}` }));
    await stop();
    const listed = await createExecutions(sql).list('default', FUNCTION_ID, { limit: 3 });
    expect(listed.map((e) => e.request_id)).toEqual(['r4', 'r3', 'r2']);
  });
});

describe('copyLines', () => {
  const toLine = createToLine();
  const chunks = (...lines: string[]) => lines.map((line) => Buffer.from(line));

  it('writes all lines, or none and says so', async () => {
    await copyLines(sql, chunks(toLine(execution()), toLine(execution())));
    expect(await count()).toBe(2);
    const bad = toLine(execution({ status_code: 1_000_000 }));
    await expect(copyLines(sql, chunks(toLine(execution()) + bad))).rejects.toThrow();
    const large = toLine(execution({ result: 'x'.repeat(60_000) })).repeat(100);
    await expect(copyLines(sql, chunks(bad + large))).rejects.toThrow();
    await expect(copyLines(sql, chunks(bad, large, large))).rejects.toThrow();
    expect(await count()).toBe(2);
    await copyLines(sql, chunks(toLine(execution())));
    expect(await count()).toBe(3);
  });

  it('gives PostgreSQL a large batch in pieces, and writes none of it when the connection is lost between two', async () => {
    const lines = chunks(...Array.from({ length: 1000 }, () => toLine(execution())));
    let pauses = 0;
    const pause = async () => void pauses++;
    await copyLines(sql, [Buffer.concat(lines)], pause);
    expect(pauses).toBeGreaterThan(8);
    expect(pauses).toBeLessThan(32);
    expect(await count()).toBe(1000);

    const cutAt = async (n: number) => {
      await pause();
      if (pauses !== n) return;
      await run(
        connection,
        `select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = 'writer test'`,
      );
    };
    pauses = 0;
    await expect(copyLines(sql, [Buffer.concat(lines)], () => cutAt(5))).rejects.toThrow();
    expect(await count()).toBe(1000);
  });
});

describe('cut64k', () => {
  it('leaves up to 64 KiB alone', () => {
    for (const text of ['', 'ü'.repeat(CUT_BYTES / 2), 'x'.repeat(CUT_BYTES)])
      expect(cut64k(text)).toBe(text);
  });

  it.each(['x', 'ü', '€', '🔥', 'x🔥'])('cuts %s at a character, to 64 KiB with the note', (part) => {
    const cut = cut64k(part.repeat(CUT_BYTES + 1));
    expect(cut).toMatch(/… \[cut at 64 KiB\]$/);
    expect(cut).not.toContain('\ufffd');
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(CUT_BYTES);
    expect(Buffer.byteLength(cut)).toBeGreaterThan(CUT_BYTES - 4);
    expect(cut64k(cut)).toBe(cut);
  });
});
