import { describe, expect, it } from 'vitest';
import { fn, STAGES, setUpFleet, single } from '../../../test/support/fleet.js';

const threw = { code: 'FUNCTION_ERROR', message: 'it failed to load' } as const;

describe('loading a module', () => {
  it('tells the calls of a process that fails to load what it told, before that the process is gone', () => {
    const { fleet, open, take, told } = setUpFleet();
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
    const { fleet, open, ready, take } = setUpFleet();
    for (const call of [1, 2]) fleet.acquire(1, 'f', call);
    ready();
    fleet.acquire(1, 'f', 3);
    fleet.failed(open(), threw);
    expect(take('load-failed')[0]?.message).toMatchObject({ process: 2, denial: null });
  });

  it('tells every waiting call when the module cannot be loaded', () => {
    const { fleet, starting, take } = setUpFleet();
    fleet.acquire(1, 'f', 1);
    fleet.acquire(2, 'f', 1);
    const [instance] = starting;
    if (instance === undefined) throw new Error('nothing is being started');
    fleet.failed(instance, { code: 'FUNCTION_ERROR', message: 'no' });
    expect(take('deny')).toHaveLength(2);
  });
});

describe('retiring a process', () => {
  it('gives waiting calls the new version, and ends the old process once its slots are back', () => {
    const { fleet, ready, take, ended } = setUpFleet(fn({ max_concurrency: 1, max_instances: 1 }));
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

  it('ends those of a tenant that is served no more by the first end that they were given', () => {
    const { fleet, ready, ended, pass } = setUpFleet(fn());
    fleet.acquire(1, 'f', 1);
    const process = ready();
    const denial = { code: 'FORBIDDEN', message: 'The tenant default is deleting.' } as const;
    fleet.stopTenant('default', denial, 1_000_000 + 2_000);
    pass(1_000);
    fleet.stopTenant('default', denial, 1_000_000 + 11_000);
    pass(900);
    expect(ended).toEqual([]);
    pass(200);
    expect(ended).toEqual([{ process, reason: 'superseded' }]);
  });

  it('ends a process that was superseded while it loaded, once its calls are done', () => {
    const { fleet, open, ended, take } = setUpFleet();
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

  it.each([
    [
      'its own',
      (fleet: ReturnType<typeof setUpFleet>['fleet']) => fleet.setFunction(single({ secrets_revision: 2 })),
    ],
    ["its tenant's", (fleet: ReturnType<typeof setUpFleet>['fleet']) => fleet.renewSecrets('default')],
  ])(
    'lets what runs finish with the secrets it has when %s change, and what comes gets a new process',
    (_, change) => {
      const { fleet, ready, ended, starting, take } = setUpFleet(single());
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
    const { fleet, ready, take, ended } = setUpFleet(fn({ allow_env: false }));
    fleet.acquire(1, 'f', 1);
    ready();
    fleet.setFunction(fn({ allow_env: false, secrets_revision: 2 }));
    fleet.renewSecrets('default');
    fleet.renewSecrets('another');
    expect(take('retire')).toEqual([]);
    expect(ended).toEqual([]);
  });

  it('ends an idle process after its keep-alive, and not while waitUntil holds it', () => {
    const { fleet, ready, pass, ended, held } = setUpFleet();
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
});

describe('a process that misbehaves', () => {
  it('lets other calls finish for 2 s after one of them went over its time', () => {
    const { fleet, ready, pass, ended } = setUpFleet();
    fleet.acquire(1, 'f', 1);
    const process = ready();
    fleet.overdue(process);
    pass(1_900);
    expect(ended).toEqual([]);
    pass(200);
    expect(ended).toEqual([{ process, reason: 'timeout' }]);
  });

  it('ends a stuck process at once when a call on it is overdue', () => {
    const { fleet, ready, ended } = setUpFleet();
    fleet.acquire(1, 'f', 1);
    const process = ready();
    fleet.setStuck(process, true);
    fleet.overdue(process);
    expect(ended).toEqual([{ process, reason: 'timeout' }]);
  });

  it('ends a process that is stuck without a call that its function has seen, unless it comes round', () => {
    const { fleet, ready, pass, ended } = setUpFleet();
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
});
