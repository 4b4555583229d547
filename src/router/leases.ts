/**
 * The slots that this router holds on live processes, so that a warm call needs to ask no one. A slot is leave for one
 * call; a function's processes are kept in a stack, so that the process used last is used next.
 */

import type { Denial, LoadStages, ProcessAddress, ToRouter, ToSupervisor } from '../supervisor/protocol.js';
import { Channel } from './channel.js';
import { Connection } from './connection.js';
import type { Crowd } from './crowd.js';

export interface ProcessLease {
  readonly address: ProcessAddress;
  /** For calls in frames. */
  readonly channel: Channel;
  slots: number;
  running: number;
  /** Calls since the last report. */
  calls: number;
  retired: boolean;
  stuck: boolean;
  /** Idle connections, for calls over HTTP. */
  readonly idle: Connection[];
  /** Whether the last report told of use. */
  reported: boolean;
  /** The fewest slots that were idle since the last sweep. */
  leastIdle: number;
  /** Its calls, while its module loads; null once it is loaded. */
  loading: Set<Loading> | null;
  /** How long its start took; null until the supervisor has told, and where it was loaded before. */
  stages: LoadStages | null;
}

/** A call whose process loads its module yet. One of these is called, once, unless it leaves before. */
export interface Loading {
  onLoaded(): void;
  /** It never ran. `denial`: what becomes of it; null: another process may serve it. */
  onLoadFailed(denial: Denial | null): void;
}

export interface Slot {
  readonly lease: ProcessLease;
  /** The call's own, once it has asked for one. */
  connection: Connection | null;
  /** Whether the call waits for its process to start. */
  readonly cold: boolean;
}

/** A call that waits for a slot. */
export interface Waiting {
  onSlot(slot: Slot): void;
  onDenied(denial: Denial): void;
}

export interface Leases {
  /** A free slot of this version, if one is held. */
  take(functionId: string, version: number): Slot | null;
  /** Asks the supervisor for one; the returned number cancels. */
  wait(functionId: string, waiting: Waiting, due?: boolean): number;
  cancel(call: number): void;
  /** A connection for the slot's call, which goes over HTTP. */
  connect(slot: Slot): Connection;
  /** The call is over. `reusable`: its connection can serve another. */
  free(slot: Slot, reusable: boolean): void;
  /** The process has answered: its module is loaded. */
  loaded(lease: ProcessLease): void;
  /** The process did not take the call, so it is ending: no further call goes there. */
  lost(slot: Slot): void;
  /** Calls back with why a process ended, once the supervisor has said so; the returned function forgets it. */
  whyGone(process: number, tell: (reason: string) => void): () => void;
  handle(message: ToRouter): void;
  /** Reports use and gives idle slots back; called every second. `oldest`: process → start of its oldest call. */
  sweep(oldest: ReadonlyMap<number, number>): void;
  running(): number;
  stop(): void;
}

interface FunctionLeases {
  /** Last used last. */
  processes: ProcessLease[];
  waiting: Map<number, Waiting>;
  /** Slots that other routers wait for. */
  owed: number;
}

const REMEMBERED_ENDINGS = 256;

export function createLeases(send: (message: ToSupervisor) => void, crowd: Crowd): Leases {
  const functions = new Map<string, FunctionLeases>();
  const processes = new Map<number, ProcessLease>();
  const waitingCalls = new Map<number, string>();
  /** Opened while a process is blank, and kept until it is gone. */
  const channels = new Map<number, Channel>();
  /** Why processes ended lately, and who wants to know. */
  const endings = new Map<number, string>();
  const curious = new Map<number, Set<(reason: string) => void>>();
  let lastCall = 0;
  let running = 0;

  function of(functionId: string): FunctionLeases {
    let entry = functions.get(functionId);
    if (entry === undefined) {
      entry = { processes: [], waiting: new Map(), owed: 0 };
      functions.set(functionId, entry);
    }
    return entry;
  }

  function channelOf(process: number, sockets: ProcessAddress['sockets']): Channel {
    let channel = channels.get(process);
    if (channel === undefined || !channel.usable) {
      channel = new Channel(sockets, crowd);
      channels.set(process, channel);
    }
    return channel;
  }

  function take(functionId: string, version: number): Slot | null {
    const entry = functions.get(functionId);
    if (entry === undefined) return null;
    const { processes: held } = entry;
    for (let index = held.length - 1; index >= 0; index--) {
      const lease = held[index];
      if (lease === undefined || lease.retired || lease.stuck || lease.running >= lease.slots) continue;
      if (lease.address.version !== version) continue;
      return occupy(lease);
    }
    return null;
  }

  function occupy(lease: ProcessLease): Slot {
    lease.running++;
    lease.calls++;
    running++;
    const spare = lease.slots - lease.running;
    if (spare < lease.leastIdle) lease.leastIdle = spare;
    return { lease, connection: null, cold: lease.loading !== null };
  }

  function connect(slot: Slot): Connection {
    const { lease } = slot;
    lease.channel.openHttp();
    slot.connection ??= idleConnection(lease) ?? new Connection(lease.address.sockets.http);
    return slot.connection;
  }

  function wait(functionId: string, waiting: Waiting, due = false): number {
    const call = ++lastCall;
    of(functionId).waiting.set(call, waiting);
    waitingCalls.set(call, functionId);
    send({ t: 'acquire', functionId, call, due });
    return call;
  }

  function settle(call: number): Waiting | null {
    const functionId = waitingCalls.get(call);
    if (functionId === undefined) return null;
    waitingCalls.delete(call);
    const entry = functions.get(functionId);
    const waiting = entry?.waiting.get(call) ?? null;
    entry?.waiting.delete(call);
    return waiting;
  }

  function cancel(call: number) {
    if (settle(call) !== null) send({ t: 'cancel', call });
  }

  function free(slot: Slot, reusable: boolean) {
    const { lease, connection } = slot;
    lease.running--;
    running--;
    if (connection !== null) {
      if (reusable && connection.reusable && !lease.retired) lease.idle.push(connection);
      else connection.destroy();
    }
    const entry = functions.get(lease.address.functionId);
    if (lease.retired) return giveBack(lease, 1);
    if (entry === undefined) return;
    if (entry.owed > 0) {
      entry.owed--;
      return giveBack(lease, 1);
    }
    if (lease.stuck) return;
    // A call that waits here takes the slot without the supervisor; those that asked elsewhere are recalled for.
    const next = entry.waiting.entries().next().value;
    if (next === undefined) return;
    const [call, waiting] = next;
    settle(call);
    send({ t: 'cancel', call });
    waiting.onSlot(occupy(lease));
  }

  function lost(slot: Slot) {
    const { lease } = slot;
    if (!lease.retired) {
      send({ t: 'unreachable', process: lease.address.process });
      retire(lease.address.process);
    }
    free(slot, false);
  }

  function giveBack(lease: ProcessLease, slots: number) {
    const returned = Math.min(slots, lease.slots);
    if (returned <= 0) return;
    lease.slots -= returned;
    send({ t: 'release', process: lease.address.process, slots: returned });
    while (lease.idle.length > Math.max(0, lease.slots - lease.running)) void lease.idle.pop()?.destroy();
    if (lease.slots === 0) drop(lease);
  }

  function drop(lease: ProcessLease) {
    processes.delete(lease.address.process);
    for (const connection of lease.idle.splice(0)) connection.destroy();
    const entry = functions.get(lease.address.functionId);
    if (entry === undefined) return;
    const index = entry.processes.indexOf(lease);
    if (index >= 0) entry.processes.splice(index, 1);
    if (entry.processes.length === 0 && entry.waiting.size === 0) functions.delete(lease.address.functionId);
  }

  function grant(message: Extract<ToRouter, { t: 'grant' }>) {
    const { to } = message;
    let lease = processes.get(to.process);
    if (lease === undefined) {
      lease = {
        address: to,
        channel: channelOf(to.process, to.sockets),
        slots: 0,
        running: 0,
        calls: 0,
        retired: false,
        stuck: false,
        reported: false,
        idle: [],
        leastIdle: 0,
        loading: message.loaded ? null : new Set(),
        stages: null,
      };
      processes.set(to.process, lease);
      of(to.functionId).processes.push(lease);
    }
    lease.slots += message.slots;
    const waiting = settle(message.call);
    // The caller went away meanwhile: the slot stays here, idle, until the sweep.
    if (waiting !== null) waiting.onSlot(occupy(lease));
    else if (lease.retired) giveBack(lease, message.slots);
  }

  function loaded(lease: ProcessLease) {
    const { loading } = lease;
    lease.loading = null;
    for (const call of loading ?? []) call.onLoaded();
  }

  function loadFailed(process: number, denial: Denial | null) {
    const lease = processes.get(process);
    if (lease === undefined) return;
    retire(process);
    const { loading } = lease;
    lease.loading = null;
    for (const call of loading ?? []) call.onLoadFailed(denial);
  }

  function recall(functionId: string, slots: number) {
    const entry = functions.get(functionId);
    if (entry === undefined) return;
    let owed = slots;
    for (const lease of [...entry.processes]) {
      const idle = Math.min(owed, lease.slots - lease.running);
      if (idle <= 0) continue;
      owed -= idle;
      giveBack(lease, idle);
    }
    // The supervisor repeats itself as long as calls wait, so only the latest number counts.
    entry.owed = owed;
  }

  function gone(process: number, reason: string) {
    const lease = processes.get(process);
    // What it answered last may not have been read yet; the channel closes by itself then.
    if (lease === undefined || lease.running === 0) channels.get(process)?.destroy();
    channels.delete(process);
    if (lease !== undefined) {
      lease.retired = true;
      lease.slots = 0;
      drop(lease);
    }
    if (endings.size >= REMEMBERED_ENDINGS) endings.delete(endings.keys().next().value ?? 0);
    endings.set(process, reason);
    for (const tell of curious.get(process) ?? []) tell(reason);
    curious.delete(process);
  }

  function whyGone(process: number, tell: (reason: string) => void): () => void {
    const known = endings.get(process);
    if (known !== undefined) {
      tell(known);
      return () => {};
    }
    const asking = curious.get(process) ?? new Set();
    curious.set(process, asking.add(tell));
    return () => {
      asking.delete(tell);
      if (asking.size === 0) curious.delete(process);
    };
  }

  function retire(process: number) {
    const lease = processes.get(process);
    if (lease === undefined) return;
    lease.retired = true;
    giveBack(lease, lease.slots - lease.running);
  }

  function handle(message: ToRouter) {
    switch (message.t) {
      case 'blank':
        channelOf(message.process, message.sockets);
        break;
      case 'grant':
        grant(message);
        break;
      case 'loaded': {
        const lease = processes.get(message.process);
        if (lease === undefined) break;
        lease.stages = message.stages;
        loaded(lease);
        break;
      }
      case 'load-failed':
        loadFailed(message.process, message.denial);
        break;
      case 'deny':
        settle(message.call)?.onDenied(message.denial);
        break;
      case 'recall':
        recall(message.functionId, message.slots);
        break;
      case 'retire':
        retire(message.process);
        break;
      case 'stuck': {
        const lease = processes.get(message.process);
        if (lease === undefined) break;
        lease.stuck = message.stuck;
        if (message.stuck) {
          const seen = lease.running - lease.channel.unseen();
          send({ t: 'stuck-calls', process: message.process, seen });
        }
        break;
      }
      case 'gone':
        gone(message.process, message.reason);
        break;
    }
  }

  function sweep(oldest: ReadonlyMap<number, number>) {
    const rows: Extract<ToSupervisor, { t: 'usage' }>['rows'] = [];
    for (const lease of [...processes.values()]) {
      const { process } = lease.address;
      const busy = lease.calls > 0 || lease.running > 0;
      // One more report once it is quiet, so that the supervisor knows.
      if (busy || lease.reported)
        rows.push([process, lease.running, lease.calls, oldest.get(process) ?? null]);
      lease.reported = busy;
      lease.calls = 0;
      // One slot stays, so that the next call is warm here.
      const spare = Math.min(lease.leastIdle, lease.slots - 1);
      lease.leastIdle = lease.slots - lease.running;
      if (spare > 0) giveBack(lease, spare);
    }
    if (rows.length > 0) send({ t: 'usage', rows });
  }

  return {
    take,
    wait,
    cancel,
    connect,
    free,
    loaded,
    lost,
    whyGone,
    handle,
    sweep,
    running: () => running,
    stop() {
      for (const channel of channels.values()) channel.destroy();
      for (const lease of [...processes.values()])
        for (const connection of lease.idle.splice(0)) connection.destroy();
    },
  };
}

/** One that is still open. */
function idleConnection(lease: ProcessLease): Connection | undefined {
  for (let found = lease.idle.pop(); found !== undefined; found = lease.idle.pop())
    if (found.usable) return found;
  return undefined;
}
