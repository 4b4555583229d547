import { describe, expect, it } from 'vitest';
import { createContact } from './contact.js';

describe('leases that are over', () => {
  it('tell of nodes that are gone, from the start on', () => {
    const heard = createContact();
    expect([0, 5_000, 10_000, 20_000].map(heard)).toEqual([true, true, true, true]);
  });

  it('tell of none after a time without the database, until the others have had theirs to renew', () => {
    const heard = createContact();
    heard(0);
    expect([30_000, 30_010, 35_000, 37_999, 38_000].map(heard)).toEqual([false, false, false, false, true]);
    expect(heard(50_000)).toBe(false);
  });
});
