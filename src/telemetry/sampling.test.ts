import { describe, expect, it } from 'vitest';
import { samplerOf } from './sampling.js';

const SPAN = 'b7ad6b7169203331';

function sampler(name?: string, arg?: string) {
  const errors: string[] = [];
  const clock = { now: 0 };
  const decide = samplerOf(
    { OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: arg },
    (error) => errors.push(String(error)),
    () => clock.now,
  );
  const child = (sampled: boolean, traceId = id(0)) => decide(traceId, { traceId, spanId: SPAN, sampled });
  return { root: (traceId = id(0)) => decide(traceId, null), child, errors, clock };
}

/** A trace id whose random part is that share of all there are. */
function id(share: number): string {
  return `0123456789abcdef12${Math.floor(share * 2 ** 52)
    .toString(16)
    .padStart(13, '0')}0`;
}

describe('the sampler', () => {
  it('records everything that no caller decided on, unless told otherwise', () => {
    const { root, child, errors } = sampler();
    expect([root(), child(true), child(false), errors]).toEqual([true, true, false, []]);
  });

  it('records no more than 20 new traces a second then, and 1000 that callers record', () => {
    const { root, child, clock } = sampler();
    const recorded = () => Array.from({ length: 500 }, () => root()).filter(Boolean).length;
    expect(recorded()).toBe(20);
    expect(Array.from({ length: 5000 }, () => child(true)).filter(Boolean)).toHaveLength(1000);
    clock.now += 250;
    expect(recorded()).toBe(5);
    clock.now += 60_000;
    expect(recorded()).toBe(20);
    const asked = sampler('parentbased_always_on');
    expect(Array.from({ length: 500 }, () => asked.root()).every(Boolean)).toBe(true);
  });

  it.each([
    ['always_on', [true, true, true]],
    ['always_off', [false, false, false]],
    ['parentbased_always_on', [true, true, false]],
    ['parentbased_always_off', [false, true, false]],
  ])('%s', (name, expected) => {
    const { root, child } = sampler(name);
    expect([root(), child(true), child(false)]).toEqual(expected);
  });

  it('records a share of the traces, the same ones wherever they are asked about', () => {
    const { root } = sampler('parentbased_traceidratio', '0.25');
    expect([0, 0.5, 0.7499, 0.7501, 0.999].map((share) => root(id(share)))).toEqual([
      false,
      false,
      false,
      true,
      true,
    ]);
    expect(sampler('traceidratio', '0.25').child(true, id(0.5))).toBe(false);
    expect(sampler('parentbased_traceidratio', '0.25').child(true, id(0.5))).toBe(true);
    for (const [arg, all] of [
      ['0', false],
      ['1', true],
    ] as const)
      expect([0, 0.5, 0.9999].map((share) => sampler('traceidratio', arg).root(id(share)))).toEqual(
        Array(3).fill(all),
      );
  });

  it('says what it does not know, and records everything', () => {
    const unknown = sampler('jaeger_remote');
    expect([unknown.root(), unknown.errors]).toEqual([
      true,
      ['Error: OTEL_TRACES_SAMPLER is jaeger_remote, which is unknown; it counts as unset.'],
    ]);
    const odd = sampler('traceidratio', '2');
    expect([odd.root(), odd.errors.length]).toEqual([true, 1]);
  });
});
