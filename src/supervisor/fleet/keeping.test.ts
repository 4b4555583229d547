import { describe, expect, it } from 'vitest';
import { fn, setUpFleet, single } from '../../../test/support/fleet.js';

const MINUTE = 60_000;

describe('a fleet that knows when a function is called', () => {
  /** Called every 45 minutes, three times: each call is over at once. */
  function setUpPeriodic(options: Parameters<typeof setUpFleet>[1] = {}) {
    const all = setUpFleet(fn(), options);
    let call = 0;
    function callOnce() {
      all.fleet.acquire(1, 'f', ++call);
      const process = all.starting.length > 0 ? all.ready() : null;
      const [grant] = all.take('grant');
      if (grant?.message.t !== 'grant') throw new Error('the call got no slot');
      all.fleet.usage(1, grant.message.to.process, 0, 1, null);
      all.fleet.release(1, grant.message.to.process, grant.message.slots);
      return { process, loaded: grant.message.loaded };
    }
    for (let n = 0; n < 3; n++) {
      if (n > 0) all.pass(45 * MINUTE);
      callOnce();
    }
    return { ...all, callOnce };
  }

  it('ends its process soon, has another one just before the next call, which is then a warm one', () => {
    const { starting, ready, ended, outcomes, pass, callOnce } = setUpPeriodic();
    ended.length = 0;
    pass(50_000);
    expect(ended).toEqual([]);
    pass(10_000);
    expect(ended).toMatchObject([{ reason: 'idle' }]);
    pass(42 * MINUTE);
    expect(starting).toEqual([]);
    pass(MINUTE);
    expect(starting).toHaveLength(1);
    ready();
    pass(MINUTE);
    expect(callOnce()).toEqual({ process: null, loaded: true });
    expect(outcomes).toEqual(['used']);
    // It lives on as any other: until the next one is due.
    pass(MINUTE);
    expect(ended).toHaveLength(2);
    pass(43 * MINUTE);
    expect(starting).toHaveLength(1);
  });

  it('ends what it started ahead when no call comes, and starts no other until one has come', () => {
    const { starting, ready, ended, outcomes, pass } = setUpPeriodic();
    pass(MINUTE);
    pass(43 * MINUTE);
    ready();
    pass(1.9 * MINUTE);
    expect(outcomes).toEqual([]);
    ended.length = 0;
    pass(0.1 * MINUTE);
    expect(ended).toMatchObject([{ reason: 'idle' }]);
    expect(outcomes).toEqual(['wasted']);
    for (let n = 0; n < 100; n++) pass(MINUTE);
    expect(starting).toEqual([]);
  });

  it('starts none ahead again whose module does not load', () => {
    const { fleet, starting, pass, outcomes } = setUpPeriodic();
    pass(MINUTE);
    pass(43 * MINUTE);
    const [instance] = starting.splice(0);
    if (instance === undefined) throw new Error('nothing is being started');
    fleet.failed(instance, { code: 'FUNCTION_ERROR', message: 'no' });
    for (let n = 0; n < 10; n++) pass(10_000);
    expect(starting).toEqual([]);
    expect(outcomes).toEqual(['wasted']);
  });

  it('starts none ahead for a function that is disabled or gone, and one of the newest version', () => {
    const { fleet, starting, pass } = setUpPeriodic();
    pass(MINUTE);
    fleet.setFunction(fn({ enabled: false }));
    pass(43 * MINUTE);
    fleet.setFunction(fn());
    pass(MINUTE);
    expect(starting).toEqual([]);

    const changed = setUpPeriodic();
    changed.fleet.setFunction(fn({ version: 2 }));
    changed.pass(44 * MINUTE);
    expect(changed.starting.map((instance) => instance.fn.version)).toEqual([2]);

    const gone = setUpPeriodic();
    gone.pass(MINUTE);
    gone.fleet.removeFunction('f');
    gone.pass(43 * MINUTE);
    expect(gone.starting).toEqual([]);
  });

  it.each([
    ['the node is full', { maxInstances: 1 }],
    ['memory is full', { memoryMib: 80 }],
    [
      'the quota is used up',
      { quota: { processes: 1, memoryMib: 1_000, elsewhere: { processes: 0, memoryMib: 0 } } },
    ],
  ])('starts none ahead while %s, and ends nothing for it', (_, options) => {
    const { fleet, starting, ready, ended, pass } = setUpPeriodic(options);
    pass(MINUTE);
    fleet.setFunction(fn({ id: 'g', name: 'g' }));
    pass(42.5 * MINUTE);
    fleet.acquire(1, 'g', 1_000);
    const other = ready();
    ended.length = 0;
    pass(30_000);
    pass(30_000);
    expect(starting).toEqual([]);
    expect(ended).toEqual([]);
    // There is room again, and still time.
    fleet.ended(other, 'exit');
    pass(1_000);
    expect(starting.map((instance) => instance.fn.id)).toEqual(['f']);
  });

  it('keeps more than one process no longer than the fixed window', () => {
    const { fleet, starting, ready, ended, pass } = setUpFleet(single());
    let last = 0;
    function call(together: number) {
      for (let n = 0; n < together; n++) fleet.acquire(1, 'f', ++last);
      while (starting.length > 0) ready();
      for (const { address } of fleet.instances()) if (address !== null) fleet.release(1, address.process, 1);
    }
    for (let n = 0; n < 4; n++) {
      call(1);
      pass(5 * MINUTE);
    }
    ended.length = 0;
    call(2);
    pass(MINUTE);
    expect(ended).toHaveLength(1);
    pass(4.9 * MINUTE);
    expect(ended).toHaveLength(1);
    pass(0.1 * MINUTE);
    expect(ended).toHaveLength(2);
  });
});

describe('the memory of a fleet', () => {
  it('shrinks when a process has been idle for half a minute: once, and not if the process ends soon', () => {
    const { fleet, ready, pass, trimmed } = setUpFleet(fn(), { keepAliveMs: 10 * MINUTE });
    fleet.acquire(1, 'f', 1);
    const process = ready();
    fleet.measured(process, 60);
    fleet.usage(1, process, 1, 1, 0);
    pass(2 * MINUTE);
    expect(trimmed).toEqual([]);
    fleet.usage(1, process, 0, 0, null);
    fleet.usage(1, process, 0, 1, null);
    for (const ms of [29_000, 1_000, 1_000, 30_000]) pass(ms);
    expect(trimmed).toEqual([process]);

    const short = setUpFleet(fn(), { keepAliveMs: 80_000 });
    short.fleet.acquire(1, 'f', 1);
    short.fleet.measured(short.ready(), 60);
    short.pass(30_000);
    expect(short.trimmed).toEqual([]);
  });

  it('shrinks only by processes that have grown: above what one needs, then above what they were left with', () => {
    const { fleet, ready, pass, trimmed } = setUpFleet(fn(), { keepAliveMs: 60 * MINUTE });
    fleet.acquire(1, 'f', 1);
    const process = ready();
    const idleWith = (...sizes: number[]) => {
      fleet.usage(1, process, 0, 1, null);
      for (const size of sizes) {
        fleet.measured(process, size);
        pass(30_000);
      }
      return trimmed.length;
    };
    expect(idleWith(42)).toBe(0);
    // Most of these 60 MiB are the function's own.
    expect(idleWith(60, 60, 56)).toBe(1);
    expect(idleWith(58)).toBe(1);
    expect(idleWith(61, 57)).toBe(2);
  });

  /** One idle process each, of the functions `a`, `b`, `c`, …, of these sizes. */
  function setUpIdle(memoryMib: number, sizes: number[]) {
    const all = setUpFleet(fn({ id: 'a' }), { memoryMib });
    const processes = sizes.map((size, at) => {
      const id = 'abcdefgh'[at] ?? '';
      all.fleet.setFunction(fn({ id, name: id }));
      all.fleet.acquire(1, id, at + 1);
      const process = all.ready();
      all.fleet.release(1, process, 2);
      all.fleet.measured(process, size);
      all.fleet.usage(1, process, 0, 1, null);
      return process;
    });
    return { ...all, processes };
  }

  it('ends idle processes when it is too much, those first whose start is cheap for their size', () => {
    const { fleet, ended, pass, processes } = setUpIdle(400, [50, 150, 60]);
    pass(2_000);
    expect(ended).toEqual([]);
    fleet.measured(processes[0] ?? 0, 200);
    fleet.usage(1, processes[0] ?? 0, 1, 20, 0); // and it works
    pass(2_000);
    expect(ended).toEqual([{ process: processes[1], reason: 'evicted' }]);
    pass(2_000);
    expect(ended).toHaveLength(1);
  });

  it('ends what is called seldom before what is called often, and no more than it has to', () => {
    const { fleet, ended, held, pass, processes } = setUpIdle(240, [60, 60, 60]);
    const [often = 0, seldom = 0, another = 0] = processes;
    fleet.usage(1, often, 0, 500, null);
    fleet.usage(1, another, 0, 20, null);
    pass(2_000);
    held.add(seldom); // its end takes a while
    fleet.measured(often, 180);
    pass(1_000);
    pass(1_000);
    expect([...fleet.instances()].map(({ state }) => state)).toEqual(['live', 'draining', 'live']);
    held.delete(seldom);
    pass(1_000);
    expect(ended).toEqual([{ process: seldom, reason: 'evicted' }]);
  });

  it('makes room for a call by ending what is idle, and lets it wait while nothing is', () => {
    const { fleet, ended, starting, pass, processes } = setUpIdle(200, [90, 90]);
    fleet.setFunction(fn({ id: 'z', name: 'z' }));
    for (const process of processes) fleet.usage(1, process, 1, 1, 0);
    fleet.acquire(2, 'z', 100);
    pass(2_000);
    expect(starting).toEqual([]);
    expect(ended).toEqual([]);
    fleet.usage(1, processes[1] ?? 0, 0, 0, null);
    pass(2_000);
    expect(ended).toEqual([{ process: processes[1], reason: 'evicted' }]);
    expect(starting.map((instance) => instance.fn.id)).toEqual(['z']);
  });

  it('lets one process be, however large it is', () => {
    const { fleet, starting } = setUpFleet(fn(), { memoryMib: 10 });
    fleet.acquire(1, 'f', 1);
    expect(starting).toHaveLength(1);
  });
});
