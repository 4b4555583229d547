/** What each tenant has of a node: its processes, their memory, and the calls that wait. */
import type { FunctionMeta } from '../../store/types.js';

export interface TenantShare {
  readonly tenant: string;
  /** Functions that are known. */
  functions: number;
  /** Processes that exist, starting and draining ones too. */
  processes: number;
  /** Sum of their `memory_limit_mb`. */
  memoryMib: number;
  /** Those of them that are being started. */
  starting: number;
  /** Calls that wait for a slot, of all its functions. */
  readonly waiting: { length: number };
  /** When a process of its own that could make room was last looked for, Unix ms. */
  searchedAt: number;
  /** When it was not its turn to start a process last, Unix ms. */
  heldBackAt: number;
}

type Started = Pick<FunctionMeta, 'tenant' | 'memory_limit_mb'>;

/** A tenant is known as long as it has a function or a process. */
export function createTenantShares() {
  const shares = new Map<string, TenantShare>();

  function of({ tenant }: Pick<FunctionMeta, 'tenant'>): TenantShare {
    let share = shares.get(tenant);
    if (share === undefined) {
      share = {
        tenant,
        functions: 0,
        processes: 0,
        memoryMib: 0,
        starting: 0,
        waiting: { length: 0 },
        searchedAt: Number.NEGATIVE_INFINITY,
        heldBackAt: Number.NEGATIVE_INFINITY,
      };
      shares.set(tenant, share);
    }
    return share;
  }

  function forgetEmpty(share: TenantShare) {
    if (share.functions === 0 && share.processes === 0) shares.delete(share.tenant);
  }

  return {
    of,
    find: (tenant: string) => shares.get(tenant),
    all: () => shares.values(),
    /** One function more. */
    join(tenant: string): TenantShare {
      const share = of({ tenant });
      share.functions++;
      return share;
    },
    leave(share: TenantShare) {
      share.functions--;
      forgetEmpty(share);
    },
    started(fn: Started) {
      const share = of(fn);
      share.processes++;
      share.starting++;
      share.memoryMib += fn.memory_limit_mb;
    },
    /** It has started, or could not be. */
    settled(fn: Started) {
      of(fn).starting--;
    },
    ended(fn: Started) {
      const share = of(fn);
      share.processes--;
      share.memoryMib -= fn.memory_limit_mb;
      forgetEmpty(share);
    },
  };
}
