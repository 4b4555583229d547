import { describe, expect, it } from 'vitest';
import { functionMeta } from '../../test/support/functions.js';
import type { FunctionMeta } from '../store/types.js';
import type { ProcessQuota } from './fleet/scaling.js';
import { TENANT_QUEUE, whoGivesWay } from './fleet/scaling.js';
import { createFleet, type Instance } from './fleet.js';
import type { ToRouter } from './protocol.js';

const fn = (change: Partial<FunctionMeta> = {}) =>
  functionMeta({ max_concurrency: 2, max_instances: 2, ...change });

const STAGES = { processMs: 1, codeMs: 2, environmentMs: 3, importMs: 4 };

/** One call at a time. */
const single = (change: Partial<FunctionMeta> = {}) => fn({ max_concurrency: 1, ...change });

/** A fleet with recorded actions and a clock of its own. */
function setUp(
  meta = fn(),
  options: { maxInstances?: number; memoryMib?: number; keepAliveMs?: number; quota?: ProcessQuota } = {},
) {
  let time = 1_000_000;
  let process = 0;
  const starting: Instance[] = [];
  const ended: { process: number; reason: string }[] = [];
  const sent: { router: number; message: ToRouter }[] = [];
  const told: ToRouter[] = [];
  const held = new Set<number>();
  const outcomes: string[] = [];
  const trimmed: number[] = [];
  const fleet = createFleet({
    now: () => time,
    keepAlive: { fixedMs: options.keepAliveMs ?? 60_000 },
    maxInstances: options.maxInstances ?? 100,
    memoryMib: options.memoryMib ?? 10_000,
    quotaOf: (tenant) => (tenant === 'default' ? (options.quota ?? null) : null),
    onQueueWait: () => {},
    onPrewarmed: (_, outcome) => outcomes.push(outcome),
    actions: {
      start: (instance) => starting.push(instance),
      end: (instance, reason) => {
        const id = instance.address?.process ?? 0;
        ended.push({ process: id, reason });
        fleet.ended(id, reason);
      },
      trim: (instance) => trimmed.push(instance.address?.process ?? 0),
      isHeld: (instance) => held.has(instance.address?.process ?? 0),
      send: (router, message) => sent.push({ router, message }),
      broadcast: (message) => told.push(message),
    },
  });
  function open(): Instance {
    const instance = starting.shift();
    if (instance === undefined) throw new Error('nothing is being started');
    const { id, version } = instance.fn;
    fleet.opened(instance, {
      process: ++process,
      sockets: { http: '', frames: '', progress: '' },
      token: '',
      functionId: id,
      version,
      secrets: false,
    });
    return instance;
  }
  fleet.setFunction(meta);
  fleet.routerUp(1);
  fleet.routerUp(2);
  return {
    fleet,
    starting,
    ended,
    /** To all routers. */
    told,
    held,
    outcomes,
    trimmed,
    pass: (ms: number) => {
      time += ms;
      fleet.tick();
    },
    /** The oldest instance that is being started has its process, which loads. */
    open,
    /** The same, and it has loaded. */
    ready() {
      const instance = open();
      fleet.started(instance, STAGES);
      return instance.address?.process ?? 0;
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

  it('sends calls to a process that loads yet, and says when it has loaded', () => {
    const { fleet, open, take } = setUp();
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
    const { fleet, starting, open } = setUp();
    for (const call of [1, 2]) fleet.acquire(1, 'f', call);
    open();
    expect(starting).toHaveLength(0);
    fleet.acquire(1, 'f', 3);
    expect(starting).toHaveLength(1);
  });

  const threw = { code: 'FUNCTION_ERROR', message: 'it failed to load' } as const;

  it('tells the calls of a process that fails to load what it told, before that the process is gone', () => {
    const { fleet, open, take, told } = setUp();
    fleet.acquire(1, 'f', 1);
    const instance = open();
    fleet.ended(1, 'crash');
    expect(told).toEqual([]);
    fleet.failed(instance, threw);
    expect(take('load-failed')).toEqual([
      { router: 1, message: { t: 'load-failed', process: 1, denial: threw } },
    ]);
    expect(told).toEqual([{ t: 'gone', process: 1, reason: 'crash' }]);
  });

  it('leaves the calls of a process that fails to load to another that works', () => {
    const { fleet, open, ready, take } = setUp();
    for (const call of [1, 2]) fleet.acquire(1, 'f', call);
    ready();
    fleet.acquire(1, 'f', 3);
    fleet.failed(open(), threw);
    expect(take('load-failed')[0]?.message).toMatchObject({ process: 2, denial: null });
  });

  it('ends a process that was superseded while it loaded, once its calls are done', () => {
    const { fleet, open, ended, take } = setUp();
    fleet.acquire(1, 'f', 1);
    const instance = open();
    fleet.setFunction(fn({ version: 2, hash: 'b'.repeat(64) }));
    expect(take('retire')).toHaveLength(1);
    fleet.release(1, 1, 1);
    expect(ended).toEqual([]);
    fleet.started(instance, STAGES);
    fleet.release(1, 1, 1);
    expect(ended).toEqual([{ process: 1, reason: 'superseded' }]);
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

  it('makes room on a full node by ending what is idle', () => {
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

  it('gives the place of a tenant that has more than its share to one that has less, and fails no call for it', () => {
    const narrow = { max_concurrency: 1, max_instances: 4 };
    const { fleet, ready, ended, starting, pass } = setUp(fn({ ...narrow }), { maxInstances: 4 });
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

  it('starts eight processes of a tenant at once, so that another tenant’s first call does not wait behind a flood', () => {
    const narrow = { max_concurrency: 1, max_instances: 10 };
    const { fleet, starting, ready, pass } = setUp(fn({ ...narrow }));
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

  it('gives a place that came free to the waiting tenant with the fewest processes', () => {
    const narrow = { max_concurrency: 1, max_instances: 4 };
    const { fleet, ready, starting, take } = setUp(fn({ ...narrow }), { maxInstances: 2 });
    fleet.setFunction(fn({ id: 'g', name: 'g', tenant: 'other', ...narrow }));
    for (let call = 1; call <= 9; call++) fleet.acquire(1, 'f', call);
    const process = ready();
    ready();
    fleet.acquire(2, 'g', 10);
    take('grant');
    fleet.ended(process, 'crash');
    expect(starting.map(({ fn }) => fn.id)).toEqual(['g']);
  });

  it('bounds what waits of one tenant over all its functions, and leaves others alone', () => {
    const wide = { max_concurrency: 100, max_instances: 4 };
    const { fleet, take } = setUp(fn(wide), { maxInstances: 0 });
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

  it('starts no more processes than the tenant’s quota leaves after those of other nodes', () => {
    const quota = { processes: 3, memoryMib: 1_000, elsewhere: { processes: 1, memoryMib: 128 } };
    const { fleet, starting, pass, take } = setUp(fn({ max_concurrency: 1, max_instances: 4 }), { quota });
    for (let call = 1; call <= 4; call++) fleet.acquire(1, 'f', call);
    expect(starting).toHaveLength(2);
    quota.elsewhere.processes = 0;
    pass(50);
    expect(starting).toHaveLength(3);
    expect(take('deny')).toEqual([]);
  });

  it('ends an idle process of the tenant’s other functions where its quota has no room', () => {
    const quota = { processes: 9, memoryMib: 256, elsewhere: { processes: 0, memoryMib: 0 } };
    const { fleet, ready, starting, ended, pass, take } = setUp(fn({ memory_limit_mb: 256 }), { quota });
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

  it('refuses what waited in vain for room in the tenant’s quota as what it is', () => {
    const quota = { processes: 1, memoryMib: 1_000, elsewhere: { processes: 0, memoryMib: 0 } };
    const { fleet, ready, pass, take } = setUp(fn(), { quota });
    fleet.setFunction(fn({ id: 'g', name: 'g' }));
    fleet.acquire(1, 'f', 1);
    fleet.usage(1, ready(), 1, 1, 0);
    fleet.acquire(1, 'g', 2);
    pass(10_001);
    expect(take('deny')).toMatchObject([
      { message: { call: 2, denial: { code: 'QUOTA_EXCEEDED', retryAfter: expect.any(Number) } } },
    ]);
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

const MINUTE = 60_000;

describe('a fleet that knows when a function is called', () => {
  /** Called every 45 minutes, three times: each call is over at once. */
  function setUpPeriodic(options: Parameters<typeof setUp>[1] = {}) {
    const all = setUp(fn(), options);
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
    const { fleet, starting, ready, ended, pass } = setUp(single());
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
    const { fleet, ready, pass, trimmed } = setUp(fn(), { keepAliveMs: 10 * MINUTE });
    fleet.acquire(1, 'f', 1);
    const process = ready();
    fleet.usage(1, process, 1, 1, 0);
    pass(2 * MINUTE);
    expect(trimmed).toEqual([]);
    fleet.usage(1, process, 0, 0, null);
    fleet.usage(1, process, 0, 1, null);
    for (const ms of [29_000, 1_000, 1_000, 30_000]) pass(ms);
    expect(trimmed).toEqual([process]);
    fleet.usage(1, process, 0, 1, null);
    pass(30_000);
    expect(trimmed).toEqual([process, process]);

    const short = setUp(fn(), { keepAliveMs: 80_000 });
    short.fleet.acquire(1, 'f', 1);
    short.ready();
    short.pass(30_000);
    expect(short.trimmed).toEqual([]);
  });

  /** One idle process each, of the functions `a`, `b`, `c`, …, of these sizes. */
  function setUpIdle(memoryMib: number, sizes: number[]) {
    const all = setUp(fn({ id: 'a' }), { memoryMib });
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
    const { fleet, starting } = setUp(fn(), { memoryMib: 10 });
    fleet.acquire(1, 'f', 1);
    expect(starting).toHaveLength(1);
  });
});

describe('who gives way on a full node', () => {
  const share = (tenant: string, processes: number, waiting = 0) => ({
    tenant,
    processes,
    functions: 1,
    starting: 0,
    memoryMib: 0,
    waiting: { length: waiting },
    searchedAt: 0,
    heldBackAt: 0,
  });
  const one = (of: ReturnType<typeof share>, idleMs: number | null, calls = 1) => ({
    share: of,
    instance: {
      state: 'live' as const,
      lastUsed: 100_000 - (idleMs ?? 0),
      priority: 100_000 - (idleMs ?? 0),
      running: new Map(idleMs === null ? [[1, { calls, oldest: 0 }]] : []),
    },
  });

  it('is the idle process of the tenant that is furthest over its share, then the one of the lowest priority', () => {
    const [a, b, c] = [share('a', 5), share('b', 2), share('c', 0, 1)];
    const [old, young] = [one(b, 60_000), one(a, 5_000)];
    const processes = [old, young, one(a, 4_000), one(a, null), one(a, null), one(a, null), one(b, null)];
    const node = { now: 100_000, limit: 7, waiting: c, shares: [a, b, c], processes };
    expect(whoGivesWay(node)).toBe(young.instance);
    expect(whoGivesWay({ ...node, limit: 30 })).toBe(old.instance);
  });

  it('is the process with the fewest calls where all are busy, and nobody where that would only swap places', () => {
    const [a, b] = [share('a', 3), share('b', 1, 5)];
    const few = one(a, null, 1);
    const processes = [one(a, null, 9), few, one(a, null, 5), one(b, null, 1)];
    const node = { now: 100_000, limit: 4, waiting: b, shares: [a, b], processes };
    expect(whoGivesWay(node)).toBe(few.instance);
    expect(whoGivesWay({ ...node, shares: [share('a', 2), b], processes: [] })).toBe(null);
    const even = [share('a', 2), share('b', 1, 5)] as const;
    const left = [one(even[0], null), one(even[0], null), one(even[1], null)];
    expect(whoGivesWay({ ...node, limit: 3, waiting: even[1], shares: even, processes: left })).toBe(null);
  });
});
