/** A process of a function, from the decision to start it to its end, as the fleet knows it. */
import type { FunctionMeta } from '../../store/types.js';
import type { ProcessAddress } from '../protocol.js';

export type RetireReason =
  | 'idle'
  | 'superseded'
  | 'evicted'
  | 'timeout'
  | 'memory'
  | 'cpu'
  | 'background'
  | 'unreachable';

export interface Instance {
  readonly key: number;
  readonly fn: FunctionMeta;
  state: 'starting' | 'live' | 'draining' | 'gone';
  /** Set once it has its process, which may load its module yet. */
  address: ProcessAddress | null;
  loaded: boolean;
  /** Router → slots that it holds. */
  readonly leases: Map<number, number>;
  leased: number;
  /** Router → calls running there, and when the oldest of them began, as last reported. */
  readonly running: Map<number, { calls: number; oldest: number | null }>;
  /** When it was decided to start it. Unix ms. */
  readonly bornAt: number;
  lastUsed: number;
  /** Until when it waits for a first call, having been started ahead of it; null: it was not, or has had one. */
  aheadUntil: number | null;
  /** Whether it has given back memory since it was used. */
  trimmed: boolean;
  /** MiB of resident memory, shared pages too, as last measured; an estimate until then. */
  memoryMib: number;
  /** MiB that it was left with when it last gave memory back; until then, what one has whose function holds nothing. */
  restMib: number;
  /** Greedy-dual's: the idle process with the lowest makes room first. */
  priority: number;
  stuck: boolean;
  /** Routers that have said that no call of theirs was seen by the function since it is stuck. */
  readonly unseen: Set<number>;
  /** Since when that has been all of them; null while it is not. */
  uselessSince: number | null;
  retireReason: RetireReason | null;
  /** Why its process ended before its module was loaded. */
  endReason: string | null;
  /** When a draining process is ended even though calls still run on it. */
  endBy: number;
}

/** MiB of resident memory of a small function's process: three quarters of them are pages of the Deno binary. */
const BARE_MIB = 44;

/** One that is about to be started. `at`: Unix ms. */
export function newInstance(key: number, fn: FunctionMeta, at: number): Instance {
  return {
    key,
    fn,
    state: 'starting',
    address: null,
    loaded: false,
    leases: new Map(),
    leased: 0,
    running: new Map(),
    bornAt: at,
    lastUsed: at,
    aheadUntil: null,
    trimmed: false,
    memoryMib: 0,
    restMib: BARE_MIB,
    priority: 0,
    stuck: false,
    unseen: new Set(),
    uselessSince: null,
    retireReason: null,
    endReason: null,
    endBy: Number.POSITIVE_INFINITY,
  };
}
