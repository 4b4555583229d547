import { describe, expect, it } from 'vitest';
import { boundTracestate, readTraceparent, writeTraceparent } from './trace_context.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('a traceparent', () => {
  it('is read as it is written', () => {
    for (const sampled of [true, false])
      expect(readTraceparent(writeTraceparent(TRACE, SPAN, sampled))).toEqual({
        traceId: TRACE,
        spanId: SPAN,
        sampled,
      });
  });

  it('of a later version is read as this one, flags that nobody knows left aside', () => {
    expect(readTraceparent(`cc-${TRACE}-${SPAN}-03-what-the-future-brings`)).toEqual({
      traceId: TRACE,
      spanId: SPAN,
      sampled: true,
    });
  });

  it.each([
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-01-more`,
    `ff-${TRACE}-${SPAN}-01`,
    `cc-${TRACE}-${SPAN}-01.more`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    ` 00-${TRACE}-${SPAN}-01`,
    '',
  ])('is not valid: %s', (text) => {
    expect(readTraceparent(text)).toBeNull();
  });
});

describe('a tracestate', () => {
  it('goes on without what is empty in it', () => {
    expect(boundTracestate(' a=1 ,, fw529a3039@dt=FfAAA; ,b=x y')).toBe('a=1,fw529a3039@dt=FfAAA;,b=x y');
  });

  it.each(['A=1', 'a', '=1', 'a=1=2', 'a=é', `${'a=1,'.repeat(32)}b=1`])('is dropped: %s', (text) => {
    expect(boundTracestate(text)).toBe('');
  });

  it('that is too long loses its long members first, and then those at its end', () => {
    const long = `long=${'x'.repeat(200)}`;
    const short = (n: number) => `k${n}=${'y'.repeat(96)}`;
    expect(boundTracestate(['a=1', long, short(1), short(2)].join())).toBe(
      ['a=1', long, short(1), short(2)].join(),
    );
    expect(boundTracestate(['a=1', long, short(1), short(2), short(3), short(4)].join())).toBe(
      ['a=1', short(1), short(2), short(3), short(4)].join(),
    );
    const many = [1, 2, 3, 4, 5, 6, 7].map(short);
    expect(boundTracestate(many.join())).toBe(many.slice(0, 5).join());
  });
});
