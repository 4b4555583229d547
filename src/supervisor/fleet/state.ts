/** What the fleet knows: functions, their processes, the routers, and what each tenant has. Its parts work on this. */
import type { FunctionMeta } from '../../store/types.js';
import type { Instance } from './instance.js';
import type { Kept } from './keeping.js';
import type { Queue } from './queue.js';
import { createTenantShares, type TenantShare } from './tenant_shares.js';

/** A call at a router that waits for a slot. */
export interface Waiter {
  router: number;
  /** The router's number for it. */
  call: number;
  /** Unix ms. */
  since: number;
  /** Nobody waits for its answer. */
  due: boolean;
}

export interface FunctionState {
  fn: FunctionMeta;
  instances: Set<Instance>;
  waiters: Queue<Waiter>;
  /** Its tenant's. */
  share: TenantShare;
  kept: Kept;
  /** Whether its tenant's quota kept a process from being started last. */
  atQuota: boolean;
}

export type FleetState = ReturnType<typeof createFleetState>;

export function createFleetState() {
  const functions = new Map<string, FunctionState>();
  return {
    functions,
    /** By their keys: those too whose function is gone. */
    instances: new Map<number, Instance>(),
    /** Those that have their process, by its id. */
    byProcess: new Map<number, Instance>(),
    routers: new Set<number>(),
    /** Calls that wait for a slot, of all functions; `due`: those that nobody waits for. */
    waiting: { all: 0, due: 0 },
    shares: createTenantShares(),
    /** Undefined where the function is gone. */
    functionOf: ({ fn }: Instance): FunctionState | undefined => functions.get(fn.id),
  };
}
