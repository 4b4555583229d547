/** The memory that functions' processes take up, in MiB × seconds: what they may have, for as long as they live. */

import type { FunctionMeta } from '../store/types.js';
import type { UsageLedger, UsageOwner } from '../store/usage_ledger.js';

export interface ProcessUsage {
  /** The process is the function's from now on. */
  claimed(process: number, fn: FunctionMeta): void;
  ended(process: number): void;
  /** Accounts for the time until now. */
  settle(): void;
}

interface Living {
  owner: UsageOwner;
  memoryMb: number;
  /** Unix ms: accounted for until then. */
  since: number;
}

export function createProcessUsage(ledger: Pick<UsageLedger, 'add'>, now: () => number): ProcessUsage {
  const living = new Map<number, Living>();

  function account(process: Living) {
    const time = now();
    // A clock that was set back takes nothing away.
    const seconds = Math.max(0, time - process.since) / 1000;
    process.since = time;
    ledger.add(process.owner, { mib_seconds: process.memoryMb * seconds });
  }

  return {
    claimed(process, fn) {
      living.set(process, { owner: ownerOf(fn), memoryMb: fn.memory_limit_mb, since: now() });
    },
    ended(process) {
      const known = living.get(process);
      if (known === undefined) return;
      living.delete(process);
      account(known);
    },
    settle() {
      for (const process of living.values()) account(process);
    },
  };
}

/** Whose usage a function's is. */
function ownerOf({ tenant, id, name }: FunctionMeta): UsageOwner {
  return { tenant, function_id: id, function_name: name };
}
