import { describe, expect, it } from 'vitest';
import { createRemembered, type Verified } from './remembered.js';
import type { TenantEntry } from './tenants.js';

const entry = { current: true } as TenantEntry;

function verified(userId: string): Verified {
  return { principal: { role: 'authenticated', tenant: 'a', userId }, entry, asked: undefined, until: 1000 };
}

describe('what was verified lately', () => {
  it('is known by the whole token, also where two end alike', () => {
    const remembered = createRemembered(10);
    remembered.add('head.one.signature', verified('one'));
    expect(remembered.get('head.two.signature', null, 0)).toBeUndefined();
    remembered.add('head.two.signature', verified('two'));
    expect(remembered.get('head.two.signature', null, 0)?.principal.userId).toBe('two');
    // The one before has to be verified again, rather than be taken for the other.
    expect(remembered.get('head.one.signature', null, 0)).toBeUndefined();
  });

  it('counts until its time, and while its tenant is as it was', () => {
    const remembered = createRemembered(10);
    const own = { current: true } as TenantEntry;
    remembered.add('a.b.c', { ...verified('one'), entry: own });
    expect(remembered.get('a.b.c', null, 999)).toBeDefined();
    expect(remembered.get('a.b.c', null, 1000)).toBeUndefined();
    Object.assign(own, { current: false });
    expect(remembered.get('a.b.c', null, 0)).toBeUndefined();
  });

  it('counts for the tenant that was asked for', () => {
    const remembered = createRemembered(10);
    remembered.add('a.b.c', { ...verified('one'), asked: null });
    expect(remembered.get('a.b.c', null, 0)).toBeDefined();
    expect(remembered.get('a.b.c', 'other', 0)).toBeUndefined();
  });

  it('gives up the oldest when there are too many', () => {
    const remembered = createRemembered(2);
    for (const token of ['x.y.aaaaaa', 'x.y.bbbbbb', 'x.y.cccccc']) remembered.add(token, verified(token));
    expect(remembered.get('x.y.aaaaaa', null, 0)).toBeUndefined();
    expect(remembered.get('x.y.bbbbbb', null, 0)).toBeDefined();
    expect(remembered.get('x.y.cccccc', null, 0)).toBeDefined();
  });
});
