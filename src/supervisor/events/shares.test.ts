import { expect, it } from 'vitest';
import { createShares } from './shares.js';

it('of a tenant is what had room when a call was refused, and one more each second', () => {
  let now = 0;
  const shares = createShares(8, () => now);
  expect([...shares.lowered()]).toEqual([]);
  // Of eight that were begun at once two have found room.
  for (const others of [7, 6, 5, 4, 3, 2]) shares.refused('acme', others);
  shares.refused('beta', 0);
  expect([...shares.lowered()]).toEqual([
    ['acme', 2],
    ['beta', 0],
  ]);
  now = 1_999;
  expect([...shares.lowered()]).toEqual([
    ['acme', 3],
    ['beta', 1],
  ]);
  shares.refused('acme', 2);
  now = 7_999;
  expect([...shares.lowered()]).toEqual([['beta', 7]]);
  now = 8_000;
  expect([...shares.lowered()]).toEqual([]);
});
