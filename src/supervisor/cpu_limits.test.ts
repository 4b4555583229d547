import { describe, expect, it } from 'vitest';
import { type CpuSample, createCpuLimits } from './cpu_limits.js';

/** Samples one second apart of a process that uses so many ms of CPU in each. */
function run(seconds: (Partial<CpuSample> & { uses: number })[]) {
  const limits = createCpuLimits();
  let cpuMs = 0;
  return seconds.map(({ uses, ...sample }, index) => {
    cpuMs += uses;
    return limits.judge({
      process: 1,
      at: 100_000 + index * 1000,
      cpuMs,
      running: sample.oldest === null || sample.oldest === undefined ? 0 : 1,
      oldest: null,
      held: false,
      lastUsed: 0,
      limitMs: 2500,
      ...sample,
    });
  });
}

describe('CPU of running calls', () => {
  it('ends a process once a call has used more than it may', () => {
    const call = { oldest: 100_500, uses: 1000 };
    expect(run([{ uses: 50 }, call, call, call, call])).toEqual([null, null, null, 'cpu', 'cpu']);
  });

  it('is shared by the calls that run together', () => {
    const call = { oldest: 100_500, uses: 1000, running: 4 };
    expect(run([{ uses: 0 }, ...Array(9).fill(call)]).every((verdict) => verdict === null)).toBe(true);
  });

  it('does not add up over calls that follow one another', () => {
    const calls = Array.from({ length: 30 }, (_, index) => ({ oldest: 100_000 + index * 1000, uses: 1000 }));
    expect(run(calls).every((verdict) => verdict === null)).toBe(true);
  });
});

describe('CPU of an idle process', () => {
  it('ends it when it works on without a call', () => {
    expect(run([{ uses: 0 }, { uses: 400 }, { uses: 400 }, { uses: 400 }])).toEqual([
      null,
      null,
      'background',
      'background',
    ]);
  });

  it('ends it even where others leave it little of the machine', () => {
    expect(run([{ uses: 0 }, ...Array(8).fill({ uses: 180 })]).at(-1)).toBe('background');
  });

  it.each([
    ['now and then', { uses: 180 }, { uses: 10 }],
    ['a little all the time', { uses: 90 }, { uses: 90 }],
    ['while waitUntil holds it', { uses: 900, held: true }, { uses: 900, held: true }],
    ['right after a call', { uses: 900, lastUsed: 110_000 }, { uses: 900, lastUsed: 110_000 }],
  ])('does not when that is %s', (_, first, second) => {
    expect(run([first, second, first, second, first, second]).every((verdict) => verdict === null)).toBe(
      true,
    );
  });
});
