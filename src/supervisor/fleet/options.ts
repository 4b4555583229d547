/** What the fleet is given: its actions, which are all that it does to the world, time, and the node's limits. */
import type { FunctionMeta } from '../../store/types.js';
import type { ToRouter } from '../protocol.js';
import type { Instance, RetireReason } from './instance.js';
import type { KeepingOptions } from './keeping.js';
import type { ProcessQuota } from './scaling.js';

export interface FleetActions {
  /** Claims a process for the instance; `started` or `failed` follows. */
  start(instance: Instance): void;
  /** Ends the instance's process; `ended` follows. */
  end(instance: Instance, reason: RetireReason): void;
  /** The instance's process is going to be idle for a while: its memory may shrink. */
  trim(instance: Instance): void;
  /** Whether the process still works for `waitUntil`. */
  isHeld(instance: Instance): boolean;
  send(router: number, message: ToRouter): void;
  broadcast(message: ToRouter): void;
}

export interface FleetOptions {
  actions: FleetActions;
  now(): number;
  keepAlive: KeepingOptions['keepAlive'];
  /** Processes that functions may have on this node at once. */
  maxInstances: number;
  /** MiB of resident memory that they may have together. */
  memoryMib: number;
  /** What a tenant may have running, over all nodes; null: whatever there is. */
  quotaOf(tenant: string): ProcessQuota | null;
  onQueueWait(fn: FunctionMeta, ms: number): void;
  onPrewarmed: KeepingOptions['onPrewarmed'];
}
