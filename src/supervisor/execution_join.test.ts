import { describe, expect, it } from 'vitest';
import type { Execution } from '../store/types.js';
import { createExecutionJoin } from './execution_join.js';

const record = (id: string): Execution => ({
  id,
  tenant: 'default',
  function_id: 'f',
  function_name: 'f',
  version: 1,
  trigger_type: 'http',
  trigger_payload: null,
  status: 'success',
  status_code: 200,
  duration_ms: 1,
  cpu_ms: null,
  cold_start: false,
  result: null,
  logs: null,
  error_message: null,
  error_stack: null,
  executed_at: new Date(0),
  completed_at: new Date(1),
  request_id: id,
});

function setUp(rows = new Set<string>()) {
  let time = 1_000;
  const written: Execution[] = [];
  const amended: [string, string][] = [];
  const join = createExecutionJoin({
    write: (execution) => {
      written.push(execution);
      rows.add(execution.id);
    },
    flushWriter: async () => {},
    amend: async (_, id, logs) => {
      if (rows.has(id)) amended.push([id, logs]);
      return rows.has(id);
    },
    onError: (error) => {
      throw error;
    },
    now: () => time,
  });
  return {
    join,
    written,
    amended,
    rows,
    async pass(ms: number) {
      time += ms;
      join.tick(time);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe('joining executions with their logs', () => {
  it('writes the lines that came before the record', () => {
    const { join, written } = setUp();
    join.onLog('f', 'a', [[0, 'log', 'one']]);
    join.onLog('f', 'a', [[0, 'warn', 'two']]);
    join.onEnd('f', 'a', 2_000);
    join.onRecord(record('a'), true);
    expect(written).toMatchObject([{ id: 'a', logs: 'one\n[warn] two' }]);
  });

  it('waits a moment for lines that come after the record', () => {
    const { join, written } = setUp();
    join.onRecord(record('a'), true);
    expect(written).toEqual([]);
    join.onLog('f', 'a', [[0, 'log', 'late']]);
    join.onEnd('f', 'a', 3_000);
    expect(written).toMatchObject([{ logs: 'late', cpu_ms: 3 }]);
  });

  it('waits for the lines of each attempt at due work, which has one execution for them all', async () => {
    const { join, written } = setUp();
    join.onLog('f', 'a', [[0, 'log', 'one']]);
    join.onEnd('f', 'a', 1);
    join.onRecord(record('a'), true);
    join.onRecord(record('a'), true);
    expect(written).toMatchObject([{ logs: 'one' }]);
    join.onLog('f', 'a', [[0, 'log', 'two']]);
    join.onEnd('f', 'a', 1);
    expect(written).toMatchObject([{ logs: 'one' }, { logs: 'two' }]);
    join.onLog('f', 'a', [[0, 'log', 'three']]);
    join.onEnd('f', 'a', 1);
    join.onRecord(record('a'), true);
    expect(written).toMatchObject([{ logs: 'one' }, { logs: 'two' }, { logs: 'three' }]);
  });

  it('does not hold a record for a process that says nothing more', async () => {
    const { join, written, pass } = setUp();
    join.onRecord(record('a'), true);
    await pass(400);
    expect(written).toEqual([]);
    await pass(200);
    expect(written).toMatchObject([{ id: 'a', logs: null }]);
  });

  it('adds what is logged after the answer to the row', async () => {
    const { join, amended, pass } = setUp();
    join.onLog('f', 'a', [[0, 'log', 'before']]);
    join.onRecord(record('a'), true);
    await pass(600);
    join.onLog('f', 'a', [[0, 'log', 'after']]);
    await pass(1_100);
    expect(amended).toEqual([['a', '\nafter']]);
  });

  it('adds lines to a row that its router wrote by itself, once it is there', async () => {
    const { join, amended, pass, rows } = setUp();
    join.onLog('f', 'a', [[0, 'log', 'late']]);
    await pass(1_100);
    expect(amended).toEqual([]);
    rows.add('a');
    await pass(2_100);
    expect(amended).toEqual([['a', 'late']]);
  });

  it('keeps no more than 64 KiB of lines for one execution', () => {
    const { join, written } = setUp();
    for (let line = 0; line < 2_000; line++) join.onLog('f', 'a', [[0, 'log', 'x'.repeat(100)]]);
    join.onEnd('f', 'a', 0);
    join.onRecord(record('a'), true);
    expect(written[0]?.logs?.length).toBeLessThan(66 * 1024);
  });
});
