import { describe, expect, it } from 'vitest';
import { functionMeta } from '../../test/support/functions.js';
import type { FunctionSpan, TraceOrigin } from '../pool/messages.js';
import type { FunctionLine } from '../telemetry/logs.js';
import { type FinishedSpan, functionSpanId } from '../telemetry/spans.js';
import { createFunctionTelemetry } from './function_telemetry.js';

const KEY = 'of this node';
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const EXECUTION = '01900000-0000-7000-8000-000000000001';
const fn = functionMeta({ id: 'f1', tenant: 'shop', name: 'pay' });

function telemetry(wanted = { spans: true, logs: true }) {
  const spans: FinishedSpan[] = [];
  const lines: FunctionLine[] = [];
  const clock = { now: 1_700_000_000_000 };
  const made = createFunctionTelemetry({
    spans: wanted.spans
      ? { hasRoom: () => true, add: (each) => void spans.push(each), stop: async () => {} }
      : null,
    logs: wanted.logs
      ? { emit: () => {}, emitLine: (line) => void lines.push(line), stop: async () => {} }
      : null,
    key: KEY,
    now: () => clock.now,
  });
  return { made, ofProcess: made.of(fn), spans, lines, clock };
}

/** As the platform gave it. */
function origin({ trace = TRACE, execution = EXECUTION, id = fn.id, key = KEY } = {}): TraceOrigin {
  return [trace, functionSpanId(key, trace, execution, id)];
}

function span(change: Partial<FunctionSpan> = {}): FunctionSpan {
  return {
    id: '1111111111111111',
    parent: '2222222222222222',
    name: 'work',
    kind: 2,
    start: 1,
    end: 2,
    status: [2, 'why'],
    attributes: [],
    events: [],
    scope: ['own', '1'],
    ...change,
  };
}

describe('what a process tells of its spans', () => {
  it('is exported under the name of its function, whatever it says of that itself', () => {
    const { ofProcess, spans } = telemetry();
    const attributes: FunctionSpan['attributes'] = [
      ['items', [1, 'two', true]],
      ['hearth.tenant', 'victim'],
      ['faas.name', 'other'],
      ['service.name', 'other'],
      ['__proto__', 'x'],
    ];
    ofProcess.onSpan(EXECUTION, origin(), span({ attributes, events: [['seen', 3, attributes]] }));
    expect(spans).toEqual([
      expect.objectContaining({
        traceId: TRACE,
        kind: 'client',
        status: 'error',
        statusMessage: 'why',
        attributes: {
          items: ['1', 'two', 'true'],
          'hearth.tenant': 'shop',
          'faas.name': 'pay',
          'faas.invocation_id': EXECUTION,
        },
        events: [{ name: 'seen', time: 3, attributes: { items: ['1', 'two', 'true'] } }],
      }),
    ]);
  });

  it.each([
    ['a trace that it made up', EXECUTION, [TRACE, '2222222222222222'] as TraceOrigin],
    ['the call of another function', EXECUTION, origin({ id: 'f2' })],
    ['another execution', '01900000-0000-7000-8000-000000000002', origin()],
    ['another trace under the same call', EXECUTION, [TRACE.replace('0', '1'), origin()[1]] as TraceOrigin],
    ['a call of another node', EXECUTION, origin({ key: 'of another' })],
  ])('counts for nothing in %s', (_, execution, of) => {
    const { ofProcess, spans, lines } = telemetry();
    ofProcess.onSpan(execution, of, span());
    expect(spans).toEqual([]);
    ofProcess.onLog(execution, [[1, 'log', 'hello']], { of, span: '1111111111111111' });
    expect(lines).toEqual([expect.objectContaining({ text: 'hello', tenant: 'shop', trace: null })]);
  });

  it('is exported no faster than a bound, of each process for itself', () => {
    const { made, ofProcess, spans, lines, clock } = telemetry();
    for (let n = 0; n < 5000; n++) ofProcess.onSpan(EXECUTION, origin(), span());
    expect(spans).toHaveLength(1024);
    ofProcess.onLog(EXECUTION, [[1, 'log', 'lost']], undefined);
    expect(lines).toEqual([]);
    made.of(fn).onLog(EXECUTION, [[1, 'log', 'told']], undefined);
    expect(lines).toHaveLength(1);
    clock.now += 1000;
    for (let n = 0; n < 5000; n++) ofProcess.onSpan(EXECUTION, origin(), span());
    expect(spans).toHaveLength(1024 + 256);
  });

  it('is not even asked for where nothing is exported', () => {
    const { made, ofProcess } = telemetry({ spans: false, logs: false });
    expect(made.wanted).toEqual({ spans: false, logs: false });
    ofProcess.onSpan(EXECUTION, origin(), span());
    ofProcess.onLog(EXECUTION, [[1, 'log', 'hello']], undefined);
  });
});
