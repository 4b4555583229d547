/** The supervisor's fleet without its processes: what it decides is recorded, and time passes when it is told to. */
import type { FunctionMeta } from '../../src/store/types.js';
import type { ProcessQuota } from '../../src/supervisor/fleet/scaling.js';
import { createFleet, type Instance } from '../../src/supervisor/fleet.js';
import type { ToRouter } from '../../src/supervisor/protocol.js';
import { functionMeta } from './functions.js';

/** A function with two slots in each of two processes. */
export const fn = (change: Partial<FunctionMeta> = {}) =>
  functionMeta({ max_concurrency: 2, max_instances: 2, ...change });

/** The same, with one call at a time in each. */
export const single = (change: Partial<FunctionMeta> = {}) => fn({ max_concurrency: 1, ...change });

/** Of a module's load; ms. */
export const STAGES = { processMs: 1, codeMs: 2, environmentMs: 3, importMs: 4 };

/** A fleet with two routers and one function, recorded actions, and a clock of its own. */
export function setUpFleet(
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
