import { describe, expect, it } from 'vitest';
import { createUserIds } from './user_ids.js';

describe('user ids of processes', () => {
  it('are each taken once, and again when they are released', () => {
    const ids = createUserIds(7);
    const [first, second] = [ids.take(), ids.take()];
    expect(first).not.toBe(second);
    ids.release(first ?? 0);
    expect(ids.take()).toBe(first);
    expect(ids.take()).toBe((second ?? 0) + 1);
  });

  it('lie in the range that is nobody’s, apart for each node, and end', () => {
    const highest = createUserIds(16_383);
    let last = 0;
    for (let id = highest.take(); id !== null; id = highest.take()) last = id;
    expect(last).toBe(2_147_483_647);
    expect(createUserIds(0).take()).toBe(1_879_048_192);
    expect((createUserIds(2).take() ?? 0) - (createUserIds(1).take() ?? 0)).toBe(16_384);
  });
});
