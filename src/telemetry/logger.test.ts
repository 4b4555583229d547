import { afterEach, describe, expect, it, vi } from 'vitest';
import { HearthError } from '../errors.js';
import { createLogger, type LoggerOptions, type LogRecord, reportTo } from './logger.js';

const START = Date.UTC(2026, 10, 26, 12, 0, 0, 5);

function logger(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const clock = { now: START };
  const log = createLogger({
    level: 'info',
    format: 'json',
    colours: false,
    process: 'router-1',
    write: (text) => lines.push(text),
    now: () => clock.now,
    ...options,
  });
  return {
    log,
    lines,
    clock,
    records: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('the log', () => {
  it('is one JSON object a line, with what is known about the record', () => {
    const { log, lines, records } = logger();
    log.warn('no\nplace', {
      request_id: 'r1',
      tenant: 'shop',
      function: 'pay',
      trace_id: 'abc',
      absent: undefined,
    });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\{.*\}\n$/);
    expect(records()).toEqual([
      {
        time: '2026-11-26T12:00:00.005Z',
        level: 'warn',
        message: 'no\nplace',
        process: 'router-1',
        request_id: 'r1',
        tenant: 'shop',
        function: 'pay',
        trace_id: 'abc',
      },
    ]);
  });

  it('is a readable line at a terminal, whose colours nothing in it can change', () => {
    const { log, lines } = logger({ format: 'text' });
    log.error('it \x1b[31mfailed\nbadly', {
      request_id: 'r1',
      error: new Error('x', { cause: new Error('refused') }),
    });
    expect(lines).toEqual(['12:00:00.005 error router-1: it  [31mfailed ↵ badly: refused request_id=r1\n']);
    const coloured = logger({ format: 'text', colours: true });
    coloured.log.info('hello');
    expect(coloured.lines[0]).toContain('\x1b[36minfo');
  });

  it('leaves out what is below its level', () => {
    const { log, records } = logger({ level: 'warn' });
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level](level);
    expect(records().map(({ level }) => level)).toEqual(['warn', 'error']);
  });

  it('tells of errors with their causes and stacks, and of whatever else was thrown', () => {
    const { log, records } = logger();
    const report = reportTo(log);
    report(new HearthError('INTERNAL', 'no luck', { cause: new Error('the disk is full') }), {
      request_id: 'r1',
    });
    report('a sentence');
    report({ odd: 1 });
    expect(records()).toEqual([
      expect.objectContaining({
        level: 'error',
        message: 'no luck',
        request_id: 'r1',
        error: {
          type: 'HearthError',
          message: 'no luck',
          cause: 'the disk is full',
          stack: expect.stringContaining('logger.test'),
        },
      }),
      expect.objectContaining({ level: 'warn', message: 'a sentence' }),
      expect.objectContaining({ level: 'error', error: { type: 'object', message: '{"odd":1}' } }),
    ]);
  });

  it('holds no credentials, by whatever name they come', () => {
    const { log, lines } = logger();
    const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl';
    log.error(`postgres://hearth:hunter2@db/hearth refused Bearer hunter2hunter2 and ${jwt}`, {
      authorization: 'hunter2',
      cookie: 'hunter2',
      apikey: 'hunter2',
      'x-api-key': 'hunter2',
      admin_key: 'hunter2',
      jwt_secret: 'hunter2',
      url: 'https://me:hunter2@example.com/',
      error: new Error('Authorization: Basic aHVudGVyMg==', { cause: new Error(`token ${jwt}`) }),
    });
    expect(lines.join('')).not.toMatch(/hunter2|aHVudGVyMg|eyJ/);
    expect(lines.join('')).toContain('db/hearth refused Bearer [redacted]');
  });

  it('tells of the same thing ten times in ten seconds, and then how often it happened', () => {
    const { log, records, clock } = logger();
    for (let n = 0; n < 1000; n++) log.error(`process ${n} is stuck`);
    log.error('something else');
    expect(records()).toHaveLength(11);
    clock.now += 10_000;
    log.error('process 1000 is stuck');
    expect(records().slice(11)).toEqual([
      expect.objectContaining({ message: 'process 0 is stuck (990 more like it in 10 s)', suppressed: 990 }),
      expect.objectContaining({ message: 'process 1000 is stuck' }),
    ]);
  });

  it('tells how often by itself when the ten seconds are over, and at the end', () => {
    vi.useFakeTimers({ now: START });
    const { log, records } = logger({ now: Date.now });
    for (let n = 0; n < 12; n++) log.warn('again');
    vi.advanceTimersByTime(10_000);
    expect(records().at(-1)).toMatchObject({ message: 'again (2 more like it in 10 s)' });
    for (let n = 0; n < 11; n++) log.warn('again');
    log.flush();
    expect(records().at(-1)).toMatchObject({ message: 'again (1 more like it in 10 s)' });
  });

  it('stays bounded when every message is another', () => {
    const { log, lines } = logger();
    const letters = (n: number) => String.fromCharCode(...[...String(n)].map((digit) => 103 + Number(digit)));
    for (let n = 0; n < 5000; n++) log.error(`what ${letters(n)}`);
    expect(lines.length).toBeLessThan(300);
  });

  it('goes to OpenTelemetry as well while that is wanted', () => {
    const sent: LogRecord[] = [];
    const { log } = logger();
    log.exportTo({ emit: (record) => void sent.push(record), emitLine: () => {}, stop: async () => {} });
    log.info('told', { tenant: 'shop' });
    log.exportTo(null);
    log.info('kept');
    expect(sent).toEqual([
      { time: START, level: 'info', message: 'told', fields: { process: 'router-1', tenant: 'shop' } },
    ]);
  });
});
