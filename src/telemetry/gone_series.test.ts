import { describe, expect, it } from 'vitest';
import { createGoneSeries } from './gone_series.js';
import { functionAttributes, tenantAttributes } from './instruments.js';

const one = functionAttributes({ tenant: 'acme', name: 'one' });
const two = functionAttributes({ tenant: 'acme', name: 'two' });

describe('series of what is gone', () => {
  it('are those of a function, whatever else they tell apart, and no other ones', () => {
    const gone = createGoneSeries();
    gone.add(one);
    expect(gone.includes({ ...one, 'faas.trigger': 'http' })).toBe(true);
    expect(gone.includes(two)).toBe(false);
    expect(gone.includes({ ...one, 'hearth.tenant': 'other' })).toBe(false);
    expect(gone.includes(tenantAttributes('acme'))).toBe(false);
    expect(gone.includes({ 'hearth.state': 'live' })).toBe(false);
    gone.keep(one);
    expect([gone.includes(one), gone.isEmpty()]).toEqual([false, true]);
  });

  it('are all of a tenant', () => {
    const gone = createGoneSeries();
    gone.add(tenantAttributes('acme'));
    for (const attributes of [one, two, { 'hearth.tenant': 'acme', 'hearth.limit': 'day' }])
      expect(gone.includes(attributes)).toBe(true);
    expect(gone.includes(tenantAttributes('acm'))).toBe(false);
    expect(gone.includes({})).toBe(false);
    gone.clear();
    expect(gone.includes(one)).toBe(false);
  });

  it('are remembered up to a bound', () => {
    const gone = createGoneSeries();
    for (let n = 0; n < 20_000; n++) gone.add(tenantAttributes(`tenant-${n}`));
    expect([
      gone.includes(tenantAttributes('tenant-9999')),
      gone.includes(tenantAttributes('tenant-10000')),
    ]).toEqual([true, false]);
  });
});
