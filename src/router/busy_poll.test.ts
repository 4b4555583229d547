import { beforeEach, describe, expect, it } from 'vitest';
import { type BusyPoll, createBusyPoll } from './busy_poll.js';

let time: number;
let turns: (() => void)[];
let poll: BusyPoll;

beforeEach(() => {
  time = 1000;
  turns = [];
  poll = set(2);
});

const set = (cores: number) =>
  createBusyPoll({ cores, now: () => time, afterLook: (turn) => turns.push(turn) });

/** Lets `ms` pass, in steps of 0.01; returns for how many of them it has looked. */
function pass(ms: number): number {
  let looked = 0;
  for (let step = 0; step < Math.round(ms * 100); step++) {
    time += 0.01;
    const [turn] = turns.splice(0, 1);
    turn?.();
    if (turns.length > 0) looked++;
  }
  return looked / 100;
}

/** A call that is answered after `ms`, and how long it was looked for the answer. */
function call(ms: number, inFlight = 1): number {
  poll.written(inFlight);
  const looked = pass(ms);
  poll.answered(inFlight - 1);
  return looked;
}

function calls(count: number, ms: number, pauseMs: number, inFlight = 1): number {
  let looked = 0;
  for (let n = 0; n < count; n++) looked += call(ms, inFlight) + pass(pauseMs);
  return looked;
}

describe('busy polling', () => {
  it('looks for answers and requests all the time while calls come one after another', () => {
    calls(8, 0.05, 0.03);
    expect(calls(100, 0.05, 0.03)).toBeCloseTo(8, 0);
  });

  it('looks for nothing before a few calls have come so, and when more than a few are in flight', () => {
    expect(calls(7, 0.05, 0.03)).toBe(0);
    expect(calls(8, 0.05, 0.03)).toBeGreaterThan(0.5);
    calls(1, 0.05, 0.03, 3);
    expect(calls(7, 0.05, 0.03)).toBe(0);
    expect(calls(100, 0.05, 0.03, 3)).toBe(0);
  });

  it('stops looking after a tenth of a millisecond', () => {
    calls(20, 0.05, 0.03);
    poll.written(1);
    expect(pass(50)).toBeCloseTo(0.1, 1);
    expect(turns).toEqual([]);
  });

  it('spends 2 % of the time at most on what does not come in time', () => {
    calls(8, 0.3, 0.7);
    const looked = calls(1000, 0.3, 0.7);
    expect(looked).toBeGreaterThan(10);
    expect(looked).toBeLessThan(1000 * 0.02 + 2 * 2 + 1);
  });

  it('looks for quick answers though requests are far apart, and the other way round', () => {
    calls(8, 0.05, 5);
    const quick = calls(200, 0.05, 5);
    expect(quick).toBeGreaterThan(200 * 0.04);
    expect(quick).toBeLessThan(200 * (0.05 + 0.06) + 4);
    expect(calls(1000, 5, 0.05)).toBeGreaterThan(1000 * 0.04);
    // What requests that do not come have used up is not taken from the answers.
    calls(1000, 0.05, 0.5);
    let forAnswers = 0;
    for (let n = 0; n < 1000; n++) {
      forAnswers += call(0.05);
      pass(0.5);
    }
    expect(forAnswers).toBeGreaterThan(1000 * 0.04);
  });

  it('goes on where most of what it looks for is found', () => {
    calls(8, 0.05, 0.03);
    let looked = 0;
    for (let n = 0; n < 200; n++) looked += calls(9, 0.05, 0.03) + calls(1, 0.3, 0.03);
    expect(looked).toBeGreaterThan(0.9 * 200 * (9 * 0.08 + 0.1));
  });

  it('does not look where there is one core', () => {
    poll = set(1);
    expect(calls(100, 0.05, 0.03)).toBe(0);
  });
});
