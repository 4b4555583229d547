import { describe, expect, it } from 'vitest';
import { fn, setUpFleet } from '../../../test/support/fleet.js';
import type { FunctionMeta } from '../../store/types.js';
import type { Fleet } from '../fleet.js';

/** So many functions with a process each, which has answered its one call. */
function leaveIdle(fleet: Fleet, ready: () => number, count: number, change: Partial<FunctionMeta> = {}) {
  for (let n = 0; n < count; n++) {
    fleet.setFunction(fn({ id: `idle-${n}`, name: `idle-${n}`, ...change }));
    fleet.acquire(1, `idle-${n}`, 10 + n);
    fleet.release(1, ready(), 2);
  }
}

/** So many functions of the default tenant that have no process, called once each. */
function callNew(fleet: Fleet, count: number) {
  for (let n = 0; n < count; n++) {
    fleet.setFunction(fn({ id: `new-${n}`, name: `new-${n}` }));
    fleet.acquire(1, `new-${n}`, 100 + n);
  }
}

describe('room on a node', () => {
  it('makes room on a full node by ending what is idle', () => {
    const { fleet, ready, ended, starting, pass } = setUpFleet(fn(), { maxInstances: 1 });
    fleet.setFunction(fn({ id: 'g', name: 'g' }));
    fleet.acquire(1, 'f', 1);
    const process = ready();
    fleet.release(1, process, 2);
    pass(5_000);
    fleet.acquire(1, 'g', 2);
    expect(ended).toEqual([{ process, reason: 'evicted' }]);
    expect(starting.map(({ fn }) => fn.id)).toEqual(['g']);
  });

  it('makes room for all that wait at once, not for one after another', () => {
    const { fleet, ready, ended, starting, pass } = setUpFleet(fn(), { maxInstances: 12 });
    leaveIdle(fleet, ready, 12);
    pass(5_000);
    callNew(fleet, 3);
    // The first one made room for itself alone: no other call waited then.
    expect(ended).toHaveLength(1);
    pass(50);
    expect(ended).toHaveLength(3);
    expect(starting.map(({ fn }) => fn.id)).toEqual(['new-0', 'new-1', 'new-2']);
  });

  it('makes no room for calls whose tenant may have no more', () => {
    const quota = { processes: 1, memoryMib: 10_000, elsewhere: { processes: 0, memoryMib: 0 } };
    const { fleet, ready, ended, starting, pass } = setUpFleet(fn(), { maxInstances: 6, quota });
    fleet.acquire(1, 'f', 1);
    fleet.usage(1, ready(), 1, 1, 0);
    leaveIdle(fleet, ready, 5, { tenant: 'other' });
    pass(5_000);
    callNew(fleet, 3);
    expect(ended).toEqual([]);
    fleet.setFunction(fn({ id: 'late', name: 'late', tenant: 'other' }));
    fleet.acquire(1, 'late', 200);
    pass(50);
    expect(ended).toHaveLength(1);
    expect(starting.map(({ fn }) => fn.id)).toEqual(['late']);
  });

  it('gives the place of a tenant that has more than its share to one that has less, and fails no call for it', () => {
    const narrow = { max_concurrency: 1, max_instances: 4 };
    const { fleet, ready, ended, starting, pass } = setUpFleet(fn({ ...narrow }), { maxInstances: 4 });
    fleet.setFunction(fn({ id: 'g', name: 'g', tenant: 'other', ...narrow }));
    const busy = (process: number) => fleet.usage(1, process, 1, 1, 0);
    for (let call = 1; call <= 20; call++) fleet.acquire(1, 'f', call);
    for (let n = 0; n < 4; n++) busy(ready());
    for (let call = 21; call <= 24; call++) fleet.acquire(2, 'g', call);
    // One of the busy ones takes no new calls, and ends when its call is over.
    expect(ended).toEqual([]);
    const draining = () => [...fleet.instances()].filter(({ state }) => state === 'draining');
    expect(draining()).toHaveLength(1);
    const finish = () => {
      const [instance] = draining();
      if (instance?.address == null) throw new Error('nothing is draining');
      fleet.release(1, instance.address.process, 1);
    };
    finish();
    expect(starting.map(({ fn }) => fn.id)).toEqual(['g']);
    busy(ready());
    pass(100);
    finish();
    expect(starting.map(({ fn }) => fn.id)).toEqual(['g']);
    busy(ready());
    // Two for each: the share of both.
    for (let n = 0; n < 5; n++) pass(100);
    expect(draining()).toEqual([]);
    expect(fleet.shareOf('default')?.processes).toBe(2);
    expect(fleet.shareOf('other')?.processes).toBe(2);
    expect(ended.map(({ reason }) => reason)).toEqual(['evicted', 'evicted']);
  });

  it('gives a place that came free to the waiting tenant with the fewest processes', () => {
    const narrow = { max_concurrency: 1, max_instances: 4 };
    const { fleet, ready, starting, take } = setUpFleet(fn({ ...narrow }), { maxInstances: 2 });
    fleet.setFunction(fn({ id: 'g', name: 'g', tenant: 'other', ...narrow }));
    for (let call = 1; call <= 9; call++) fleet.acquire(1, 'f', call);
    const process = ready();
    ready();
    fleet.acquire(2, 'g', 10);
    take('grant');
    fleet.ended(process, 'crash');
    expect(starting.map(({ fn }) => fn.id)).toEqual(['g']);
  });

  it('starts eight processes of a tenant at once, so that another tenant’s first call does not wait behind a flood', () => {
    const narrow = { max_concurrency: 1, max_instances: 10 };
    const { fleet, starting, ready, pass } = setUpFleet(fn({ ...narrow }));
    fleet.setFunction(fn({ id: 'f2', name: 'f2', ...narrow }));
    fleet.setFunction(fn({ id: 'g', name: 'g', tenant: 'other', ...narrow }));
    for (let call = 1; call <= 9; call++) for (const id of ['f', 'f2']) fleet.acquire(1, id, call * 2);
    expect(starting).toHaveLength(8);
    fleet.acquire(1, 'g', 100);
    expect(starting.at(-1)?.fn.id).toBe('g');
    ready();
    pass(50);
    expect(starting).toHaveLength(9);
    // One whose module takes its time does not keep the others back.
    pass(2_000);
    expect(starting).toHaveLength(17);
  });
});

describe('room in a tenant’s quota', () => {
  it('starts no more processes than the tenant’s quota leaves after those of other nodes', () => {
    const quota = { processes: 3, memoryMib: 1_000, elsewhere: { processes: 1, memoryMib: 128 } };
    const { fleet, starting, pass, take } = setUpFleet(fn({ max_concurrency: 1, max_instances: 4 }), {
      quota,
    });
    for (let call = 1; call <= 4; call++) fleet.acquire(1, 'f', call);
    expect(starting).toHaveLength(2);
    quota.elsewhere.processes = 0;
    pass(50);
    expect(starting).toHaveLength(3);
    expect(take('deny')).toEqual([]);
  });

  it('ends an idle process of the tenant’s other functions where its quota has no room', () => {
    const quota = { processes: 9, memoryMib: 256, elsewhere: { processes: 0, memoryMib: 0 } };
    const { fleet, ready, starting, ended, pass, take } = setUpFleet(fn({ memory_limit_mb: 256 }), { quota });
    fleet.setFunction(fn({ id: 'g', name: 'g', memory_limit_mb: 128 }));
    fleet.setFunction(fn({ id: 'h', name: 'h', memory_limit_mb: 257 }));
    fleet.acquire(1, 'f', 1);
    const process = ready();
    fleet.release(1, process, 2);
    fleet.acquire(1, 'g', 2);
    expect(ended).toEqual([]); // it was in use a moment ago
    pass(1_100);
    expect(ended).toEqual([{ process, reason: 'evicted' }]);
    expect(starting.map(({ fn }) => fn.id)).toEqual(['g']);
    // What never fits is refused at once.
    fleet.acquire(1, 'h', 3);
    expect(take('deny')).toMatchObject([{ message: { call: 3, denial: { code: 'QUOTA_EXCEEDED' } } }]);
  });

  it('ends as many idle processes of the tenant as its calls need at once, and none of another tenant', () => {
    const quota = { processes: 4, memoryMib: 10_000, elsewhere: { processes: 0, memoryMib: 0 } };
    const { fleet, ready, starting, ended, pass } = setUpFleet(fn({ tenant: 'other' }), { quota });
    fleet.acquire(1, 'f', 1);
    fleet.release(1, ready(), 2);
    leaveIdle(fleet, ready, 4);
    pass(5_000);
    callNew(fleet, 3);
    expect(ended).toHaveLength(1); // no other call waited then
    pass(50);
    expect(ended.map(({ process }) => process)).toEqual([2, 3, 4]);
    expect(starting.map(({ fn }) => fn.id)).toEqual(['new-0', 'new-1', 'new-2']);
  });

  it('refuses what waited in vain for room in the tenant’s quota as what it is', () => {
    const quota = { processes: 1, memoryMib: 1_000, elsewhere: { processes: 0, memoryMib: 0 } };
    const { fleet, ready, pass, take } = setUpFleet(fn(), { quota });
    fleet.setFunction(fn({ id: 'g', name: 'g' }));
    fleet.acquire(1, 'f', 1);
    fleet.usage(1, ready(), 1, 1, 0);
    fleet.acquire(1, 'g', 2);
    pass(10_001);
    expect(take('deny')).toMatchObject([
      { message: { call: 2, denial: { code: 'QUOTA_EXCEEDED', retryAfter: expect.any(Number) } } },
    ]);
  });
});
