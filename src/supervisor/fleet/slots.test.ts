import { describe, expect, it } from 'vitest';
import { fn, STAGES, setUpFleet, single } from '../../../test/support/fleet.js';
import { TENANT_QUEUE } from './scaling.js';

describe('slots', () => {
  it('starts one process for the first calls, and grants them its slots', () => {
    const { fleet, starting, ready, take } = setUpFleet();
    fleet.acquire(1, 'f', 1);
    fleet.acquire(1, 'f', 2);
    expect(starting).toHaveLength(1);
    ready();
    expect(take('grant').map(({ message }) => message.t === 'grant' && message.call)).toEqual([1, 2]);
  });

  it('sends calls to a process that loads yet, and says when it has loaded', () => {
    const { fleet, open, take } = setUpFleet();
    fleet.acquire(1, 'f', 1);
    const instance = open();
    expect(take('grant')[0]?.message).toMatchObject({ call: 1, loaded: false, to: { process: 1 } });
    fleet.started(instance, STAGES);
    expect(take('loaded')).toEqual([{ router: 1, message: { t: 'loaded', process: 1, stages: STAGES } }]);
    fleet.release(1, 1, 2);
    fleet.acquire(1, 'f', 2);
    expect(take('grant')[0]?.message).toMatchObject({ call: 2, loaded: true });
  });

  it('starts no more for calls that the slots of a loading process hold, and one more for the next', () => {
    const { fleet, starting, open } = setUpFleet();
    for (const call of [1, 2]) fleet.acquire(1, 'f', call);
    open();
    expect(starting).toHaveLength(0);
    fleet.acquire(1, 'f', 3);
    expect(starting).toHaveLength(1);
  });

  it('starts as many processes as the waiting calls need, up to max_instances', () => {
    const { fleet, starting } = setUpFleet();
    for (let call = 1; call <= 9; call++) fleet.acquire(1, 'f', call);
    expect(starting).toHaveLength(2);
  });

  it('starts another process for calls that a stuck one cannot take', () => {
    const { fleet, ready, starting, take } = setUpFleet();
    fleet.acquire(1, 'f', 1);
    ready();
    fleet.setStuck(1, true);
    fleet.acquire(2, 'f', 1);
    take('grant');
    expect(starting).toHaveLength(1);
    ready();
    expect(take('grant')).toMatchObject([{ router: 2 }]);
  });

  it('asks one router for slots that another one waits for', () => {
    const { fleet, ready, take } = setUpFleet(fn({ max_concurrency: 2, max_instances: 1 }));
    fleet.acquire(1, 'f', 1);
    const process = ready();
    fleet.acquire(1, 'f', 2);
    take('grant');
    fleet.acquire(2, 'f', 1);
    expect(take('recall')).toEqual([{ router: 1, message: { t: 'recall', functionId: 'f', slots: 1 } }]);
    fleet.release(1, process, 1);
    expect(take('grant')).toMatchObject([{ router: 2, message: { call: 1 } }]);
  });

  it('takes the slots and the waiting calls of a router that died', () => {
    const { fleet, ready, take } = setUpFleet(fn({ max_concurrency: 1, max_instances: 1 }));
    fleet.acquire(1, 'f', 1);
    ready();
    fleet.acquire(1, 'f', 2);
    fleet.acquire(2, 'f', 7);
    take('grant');
    fleet.routerGone(1);
    expect(take('grant')).toMatchObject([{ router: 2, message: { call: 7 } }]);
  });

  it('refuses what is over the queue bound, with a time to try again', () => {
    const { fleet, take } = setUpFleet(fn({ max_concurrency: 1, max_instances: 1 }));
    for (let call = 1; call <= 17; call++) fleet.acquire(1, 'f', call);
    const [refused, ...more] = take('deny');
    expect(more).toEqual([]);
    expect(refused?.message).toMatchObject({
      call: 17,
      denial: { code: 'OVERLOADED', retryAfter: expect.any(Number) },
    });
  });

  it('refuses what has waited for capacity for 10 s', () => {
    const { fleet, ready, pass, take } = setUpFleet(fn({ max_concurrency: 1, max_instances: 1 }));
    fleet.acquire(1, 'f', 1);
    ready();
    fleet.acquire(1, 'f', 2);
    pass(9_000);
    expect(take('deny')).toEqual([]);
    pass(1_001);
    expect(take('deny').map(({ message }) => message.t === 'deny' && message.denial.code)).toEqual([
      'OVERLOADED',
    ]);
  });

  it('counts the calls that wait, and those of them that somebody waits for', () => {
    const { fleet, ready } = setUpFleet(single({ max_instances: 1 }));
    const counted = () => [fleet.queued(), fleet.awaited()];
    fleet.acquire(1, 'f', 1, true);
    fleet.acquire(1, 'f', 2, true);
    fleet.acquire(1, 'f', 3);
    fleet.acquire(2, 'f', 1, true);
    fleet.acquire(2, 'f', 2);
    expect(counted()).toEqual([5, 2]);
    ready();
    expect(counted()).toEqual([4, 2]);
    fleet.cancel(1, 2);
    fleet.cancel(1, 3);
    expect(counted()).toEqual([2, 1]);
    fleet.routerGone(2);
    expect(counted()).toEqual([0, 0]);
    fleet.acquire(1, 'f', 4, true);
    fleet.acquire(1, 'f', 5);
    fleet.removeFunction('f');
    expect(counted()).toEqual([0, 0]);
  });

  it('bounds what waits of one tenant over all its functions, and leaves others alone', () => {
    const wide = { max_concurrency: 100, max_instances: 4 };
    const { fleet, take } = setUpFleet(fn(wide), { maxInstances: 0 });
    fleet.setFunction(fn({ id: 'f2', name: 'f2', ...wide }));
    fleet.setFunction(fn({ id: 'g', name: 'g', tenant: 'other', ...wide }));
    let call = 0;
    for (const id of ['f', 'f2']) for (let n = 0; n < TENANT_QUEUE / 2; n++) fleet.acquire(1, id, ++call);
    expect(take('deny')).toEqual([]);
    fleet.acquire(1, 'f', ++call);
    expect(take('deny')).toMatchObject([{ message: { call, denial: { code: 'OVERLOADED' } } }]);
    fleet.acquire(1, 'g', ++call);
    expect(take('deny')).toEqual([]);
    fleet.cancel(1, 1);
    fleet.acquire(1, 'f2', ++call);
    expect(take('deny')).toEqual([]);
  });
});
