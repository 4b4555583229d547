import { describe, expect, it } from 'vitest';
import { functionMeta } from '../../test/support/functions.js';
import type { FunctionMeta } from '../store/types.js';
import { createFleet, type Instance } from './fleet.js';
import type { ToRouter } from './protocol.js';

const fn = (change: Partial<FunctionMeta> = {}) =>
  functionMeta({ max_concurrency: 2, max_instances: 2, ...change });

/** One call at a time. */
const single = (change: Partial<FunctionMeta> = {}) => fn({ max_concurrency: 1, ...change });

/** A fleet with recorded actions and a clock of its own. */
function setUp(meta = fn(), options: { maxInstances?: number } = {}) {
  let time = 1_000_000;
  let process = 0;
  const starting: Instance[] = [];
  const ended: { process: number; reason: string }[] = [];
  const sent: { router: number; message: ToRouter }[] = [];
  const held = new Set<number>();
  const fleet = createFleet({
    now: () => time,
    keepAliveMs: 60_000,
    maxInstances: options.maxInstances ?? 100,
    quotaOf: () => null,
    onQueueWait: () => {},
    actions: {
      start: (instance) => starting.push(instance),
      end: (instance, reason) => {
        const id = instance.address?.process ?? 0;
        ended.push({ process: id, reason });
        fleet.ended(id, reason);
      },
      isHeld: (instance) => held.has(instance.address?.process ?? 0),
      send: (router, message) => sent.push({ router, message }),
      broadcast: () => {},
    },
  });
  fleet.setFunction(meta);
  fleet.routerUp(1);
  fleet.routerUp(2);
  return {
    fleet,
    starting,
    ended,
    held,
    pass: (ms: number) => {
      time += ms;
      fleet.tick();
    },
    /** The oldest instance that is being started is ready. */
    ready() {
      const instance = starting.shift();
      if (instance === undefined) throw new Error('nothing is being started');
      const { id, version } = instance.fn;
      fleet.started(instance, {
        process: ++process,
        sockets: { http: '', frames: '', progress: '' },
        token: '',
        functionId: id,
        version,
        secrets: false,
      });
      return process;
    },
    take: (type: ToRouter['t']) => {
      const found = sent.filter(({ message }) => message.t === type);
      for (const one of found) sent.splice(sent.indexOf(one), 1);
      return found;
    },
  };
}

describe('the fleet', () => {
  it('starts one process for the first calls, and grants them its slots', () => {
    const { fleet, starting, ready, take } = setUp();
    fleet.acquire(1, 'f', 1);
    fleet.acquire(1, 'f', 2);
    expect(starting).toHaveLength(1);
    ready();
    expect(take('grant').map(({ message }) => message.t === 'grant' && message.call)).toEqual([1, 2]);
  });

  it('starts as many processes as the waiting calls need, up to max_instances', () => {
    const { fleet, starting } = setUp();
    for (let call = 1; call <= 9; call++) fleet.acquire(1, 'f', call);
    expect(starting).toHaveLength(2);
  });

  it('refuses what is over the queue bound, with a time to try again', () => {
    const { fleet, take } = setUp(fn({ max_concurrency: 1, max_instances: 1 }));
    for (let call = 1; call <= 17; call++) fleet.acquire(1, 'f', call);
    const [refused, ...more] = take('deny');
    expect(more).toEqual([]);
    expect(refused?.message).toMatchObject({
      call: 17,
      denial: { code: 'OVERLOADED', retryAfter: expect.any(Number) },
    });
  });

  it('refuses what has waited for capacity for 10 s', () => {
    const { fleet, ready, pass, take } = setUp(fn({ max_concurrency: 1, max_instances: 1 }));
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

  it('ends a process that is stuck without a call that its function has seen, unless it comes round', () => {
    const { fleet, ready, pass, ended } = setUp();
    fleet.acquire(1, 'f', 1);
    const process = ready();
    const stuckFor = (seen: number, ms: number) => {
      fleet.setStuck(process, true);
      fleet.stuckCalls(1, process, seen);
      pass(ms);
      fleet.setStuck(process, false);
      pass(5_000);
    };
    stuckFor(0, 900);
    stuckFor(1, 5_000);
    expect(ended).toEqual([]);
    stuckFor(0, 1_000);
    expect(ended).toEqual([{ process, reason: 'background' }]);
  });

  it('asks one router for slots that another one waits for', () => {
    const { fleet, ready, take } = setUp(fn({ max_concurrency: 2, max_instances: 1 }));
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
    const { fleet, ready, take } = setUp(fn({ max_concurrency: 1, max_instances: 1 }));
    fleet.acquire(1, 'f', 1);
    ready();
    fleet.acquire(1, 'f', 2);
    fleet.acquire(2, 'f', 7);
    take('grant');
    fleet.routerGone(1);
    expect(take('grant')).toMatchObject([{ router: 2, message: { call: 7 } }]);
  });

  it('gives waiting calls the new version, and ends the old process once its slots are back', () => {
    const { fleet, ready, take, ended } = setUp(fn({ max_concurrency: 1, max_instances: 1 }));
    fleet.acquire(1, 'f', 1);
    const old = ready();
    take('grant');
    fleet.acquire(1, 'f', 2);
    fleet.setFunction(fn({ max_concurrency: 1, max_instances: 1, version: 2 }));
    expect(take('retire')).toMatchObject([{ router: 1, message: { process: old } }]);
    ready();
    expect(take('grant')).toMatchObject([{ message: { call: 2, to: { version: 2 } } }]);
    expect(ended).toEqual([]);
    fleet.release(1, old, 1);
    expect(ended).toEqual([{ process: old, reason: 'superseded' }]);
  });

  it('ends an idle process after its keep-alive, and not while waitUntil holds it', () => {
    const { fleet, ready, pass, ended, held } = setUp();
    fleet.acquire(1, 'f', 1);
    const process = ready();
    fleet.release(1, process, 2);
    held.add(process);
    pass(60_001);
    expect(ended).toEqual([]);
    held.delete(process);
    pass(100);
    expect(ended).toEqual([{ process, reason: 'idle' }]);
  });

  it('lets other calls finish for 2 s after one of them went over its time', () => {
    const { fleet, ready, pass, ended } = setUp();
    fleet.acquire(1, 'f', 1);
    const process = ready();
    fleet.overdue(process);
    pass(1_900);
    expect(ended).toEqual([]);
    pass(200);
    expect(ended).toEqual([{ process, reason: 'timeout' }]);
  });

  it('ends a stuck process at once when a call on it is overdue', () => {
    const { fleet, ready, ended } = setUp();
    fleet.acquire(1, 'f', 1);
    const process = ready();
    fleet.setStuck(process, true);
    fleet.overdue(process);
    expect(ended).toEqual([{ process, reason: 'timeout' }]);
  });

  it('starts another process for calls that a stuck one cannot take', () => {
    const { fleet, ready, starting, take } = setUp();
    fleet.acquire(1, 'f', 1);
    ready();
    fleet.setStuck(1, true);
    fleet.acquire(2, 'f', 1);
    take('grant');
    expect(starting).toHaveLength(1);
    ready();
    expect(take('grant')).toMatchObject([{ router: 2 }]);
  });

  it('makes room on a full node by ending what has been idle longest', () => {
    const { fleet, ready, ended, starting, pass } = setUp(fn(), { maxInstances: 1 });
    fleet.setFunction(fn({ id: 'g', name: 'g' }));
    fleet.acquire(1, 'f', 1);
    const process = ready();
    fleet.release(1, process, 2);
    pass(5_000);
    fleet.acquire(1, 'g', 2);
    expect(ended).toEqual([{ process, reason: 'evicted' }]);
    expect(starting.map(({ fn }) => fn.id)).toEqual(['g']);
  });

  it.each([
    [
      'its own',
      (fleet: ReturnType<typeof setUp>['fleet']) => fleet.setFunction(single({ secrets_revision: 2 })),
    ],
    ["its tenant's", (fleet: ReturnType<typeof setUp>['fleet']) => fleet.renewSecrets('default')],
  ])(
    'lets what runs finish with the secrets it has when %s change, and what comes gets a new process',
    (_, change) => {
      const { fleet, ready, ended, starting, take } = setUp(single());
      fleet.acquire(1, 'f', 1);
      const process = ready();
      fleet.acquire(2, 'f', 2); // and one that is being started
      expect(starting).toHaveLength(1);
      change(fleet);
      expect(take('retire')).toMatchObject([{ router: 1, message: { process } }]);
      expect(starting).toHaveLength(2);
      const superseded = ready();
      expect(ended).toEqual([{ process: superseded, reason: 'superseded' }]);
      take('grant');
      const fresh = ready();
      expect(take('grant')).toMatchObject([{ router: 2, message: { to: { process: fresh } } }]);
      fleet.release(1, process, 1);
      expect(ended.at(-1)).toEqual({ process, reason: 'superseded' });
    },
  );

  it("leaves processes alone that see no secrets, and other tenants'", () => {
    const { fleet, ready, take, ended } = setUp(fn({ allow_env: false }));
    fleet.acquire(1, 'f', 1);
    ready();
    fleet.setFunction(fn({ allow_env: false, secrets_revision: 2 }));
    fleet.renewSecrets('default');
    fleet.renewSecrets('another');
    expect(take('retire')).toEqual([]);
    expect(ended).toEqual([]);
  });

  it('tells every waiting call when the module cannot be loaded', () => {
    const { fleet, starting, take } = setUp();
    fleet.acquire(1, 'f', 1);
    fleet.acquire(2, 'f', 1);
    const [instance] = starting;
    if (instance === undefined) throw new Error('nothing is being started');
    fleet.failed(instance, { code: 'FUNCTION_ERROR', message: 'no' });
    expect(take('deny')).toHaveLength(2);
  });
});
