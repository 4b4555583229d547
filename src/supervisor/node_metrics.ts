/** The supervisor's own instruments, and the routers' points, in the node's one set of metrics. */

import { memoryClass } from '../pool/blanks.js';
import type { EndReason } from '../pool/ending.js';
import type { Claimed } from '../pool/main.js';
import { databaseTimer } from '../store/database_timer.js';
import type { Sessions } from '../store/sessions.js';
import type { DueTrigger, FunctionMeta } from '../store/types.js';
import type { ClusterMetrics } from '../telemetry/cluster_metrics.js';
import type { Delta } from '../telemetry/delta.js';
import { createGoneSeries } from '../telemetry/gone_series.js';
import {
  createInstruments,
  type EventOutcome,
  type FunctionAttributes,
  faasTrigger,
  functionAttributes,
  type TenantAttributes,
  tenantAttributes,
} from '../telemetry/instruments.js';
import { watchProcess } from '../telemetry/process_watch.js';
import { createRecorder } from '../telemetry/recorder.js';
import type { EventStats } from './events/main.js';
import type { Instance } from './fleet.js';
import { createTenantGauges, type TenantUse } from './tenant_gauges.js';

export interface NodeState {
  pool: { kind: { memoryMb: number }; ready: number; starting: number }[];
  instances: Iterable<Instance>;
  queued: Iterable<{ fn: FunctionMeta; waiters: { length: number } }>;
  code: { hits: number; misses: number; bytes: number; evictions: number };
  writer: { buffered: number; written: number; dropped: number };
  events: EventStats;
  tenants: TenantUse;
  databaseUp: boolean;
}

const SUPERVISOR = 'supervisor';
const MIB = 1024 * 1024;
/** Why processes end: each is there from the start at 0, so that a rate sees the first one. */
const REASONS: Readonly<Record<EndReason, true>> = {
  exit: true,
  crash: true,
  memory: true,
  forbidden: true,
  timeout: true,
  cpu: true,
  background: true,
  idle: true,
  superseded: true,
  unreachable: true,
  failed: true,
  shutdown: true,
  evicted: true,
};

export type NodeMetrics = ReturnType<typeof createNodeMetrics>;

export function createNodeMetrics(
  cluster: ClusterMetrics,
  limits: { poolSize: number; processes: number; memoryMib: number; events: number },
) {
  const recorder = createRecorder();
  const instruments = createInstruments(recorder);
  const watch = watchProcess(instruments);
  /** Router id → a name that its successor takes over. */
  const names = new Map<number, string>();
  const cpu = new Map<number, number>();
  const counted = { hits: 0, misses: 0, evictions: 0, written: 0, dropped: 0 };

  /** Series that have been shown: they go to 0 rather than stay at their last value. */
  const shown = new Set<string>();
  const queuedBefore = new Set<string>();

  const stage = (name: 'process' | 'code' | 'environment' | 'import') =>
    instruments.startStageDuration.with({ 'hearth.stage': name });
  const stages = {
    process: stage('process'),
    code: stage('code'),
    environment: stage('environment'),
    import: stage('import'),
  };
  /** Deleted since the last gathering of points, and before it: of these the routers have told for the last time. */
  let gone = createGoneSeries();
  let settling = createGoneSeries();
  const tenants = createTenantGauges(instruments);
  const restarts = instruments.routerRestarts.with({});

  for (const reason of Object.keys(REASONS)) instruments.poolEnded.with({ 'hearth.reason': reason });
  instruments.poolSize.with({}).set(limits.poolSize);
  instruments.poolLimit.with({}).set(limits.processes);
  instruments.poolMemoryLimit.with({}).set(limits.memoryMib * MIB);

  instruments.eventsLimit.with({}).set(limits.events);

  function keep(attributes: FunctionAttributes | TenantAttributes) {
    gone.keep(attributes);
    settling.keep(attributes);
  }

  return {
    spawned: (kind: { memoryMb: number }, ms: number) =>
      instruments.poolSpawnDuration.with({ 'hearth.memory_class': kind.memoryMb }).record(ms / 1000),
    ended: (reason: string) => instruments.poolEnded.with({ 'hearth.reason': reason }).add(1),
    queueWait: (fn: FunctionMeta, ms: number) =>
      instruments.queueWait.with(functionAttributes(fn)).record(ms / 1000),
    prewarmed: (fn: FunctionMeta, outcome: 'used' | 'wasted') =>
      instruments.prewarms.with({ ...functionAttributes(fn), 'hearth.outcome': outcome }).add(1),
    claimed(fn: FunctionMeta, claimed: Claimed, tookMs: number) {
      instruments.poolClaimDuration
        .with({ 'hearth.memory_class': memoryClass(fn.memory_limit_mb) })
        .record(tookMs / 1000);
      const { processMs, codeMs, envMs, importMs } = claimed.took;
      stages.process.record(processMs / 1000);
      stages.code.record(codeMs / 1000);
      stages.environment.record(envMs / 1000);
      stages.import.record(importMs / 1000);
      instruments.initDuration.with(functionAttributes(fn)).record(claimed.took.importMs / 1000);
      void claimed.process.ended.then(() => cpu.delete(claimed.process.id));
    },
    sampled(fn: FunctionMeta, process: number, memory: number, cpuMs: number) {
      instruments.memoryUsage.with(functionAttributes(fn)).record(memory);
      const before = cpu.get(process);
      cpu.set(process, cpuMs);
      if (before !== undefined)
        instruments.cpuUsage.with(functionAttributes(fn)).record(Math.max(0, cpuMs - before) / 1000);
    },
    eventEnded: (fn: { tenant: string; name: string }, trigger: DueTrigger, outcome: EventOutcome) =>
      instruments.eventsEnded
        .with({ ...functionAttributes(fn), 'faas.trigger': faasTrigger(trigger), 'hearth.outcome': outcome })
        .add(1),
    eventRetried: (fn: { tenant: string; name: string }, trigger: DueTrigger) =>
      instruments.eventsRetries
        .with({ ...functionAttributes(fn), 'faas.trigger': faasTrigger(trigger) })
        .add(1),
    /** Returns its name. */
    routerUp(router: number): string {
      const taken = new Set(names.values());
      for (let n = 1; ; n++) {
        const name = `router-${n}`;
        if (taken.has(name)) continue;
        names.set(router, name);
        return name;
      }
    },
    routerGone(router: number, expected: boolean) {
      const name = names.get(router);
      names.delete(router);
      if (name !== undefined) cluster.forget(name);
      if (!expected) restarts.add(1);
    },
    absorb(router: number, deltas: Delta[]) {
      const name = names.get(router);
      if (name !== undefined) cluster.absorb(name, deltas);
    },
    checked: databaseTimer(instruments, 'SELECT'),
    wrote: databaseTimer(instruments, 'COPY'),
    sessions(all: readonly Sessions[]) {
      instruments.databaseConnections.release({});
      for (const { name, idle, used } of all) {
        const pool = { 'db.client.connection.pool.name': name };
        instruments.databaseConnections.with({ ...pool, 'db.client.connection.state': 'idle' }).set(idle);
        instruments.databaseConnections.with({ ...pool, 'db.client.connection.state': 'used' }).set(used);
      }
    },
    functionGone: (fn: FunctionMeta) => gone.add(functionAttributes(fn)),
    tenantGone: (tenant: string) => gone.add(tenantAttributes(tenant)),
    /** There is a function of that name, or a tenant. */
    functionThere: (fn: FunctionMeta) => keep(functionAttributes(fn)),
    tenantThere: (tenant: string) => keep(tenantAttributes(tenant)),
    /** Call it when every router has told its points after `gauges`. */
    settle() {
      if (settling.isEmpty()) return;
      recorder.release(settling.includes);
      cluster.absorb(SUPERVISOR, recorder.drain());
      cluster.release(settling.includes);
      settling.clear();
    },
    /** Sets what is counted rather than recorded, and hands over the supervisor's own points. */
    gauges(state: NodeState) {
      if (settling.isEmpty()) [settling, gone] = [gone, settling];
      const live = new Map<string, number>();
      let memoryMib = 0;
      for (const instance of state.instances) {
        memoryMib += instance.memoryMib;
        const key = `${instance.state} ${memoryClass(instance.fn.memory_limit_mb)}`;
        live.set(key, (live.get(key) ?? 0) + 1);
      }
      instruments.poolMemory.with({}).set(memoryMib * MIB);
      for (const { kind, ready, starting } of state.pool) {
        live.set(`blank ${kind.memoryMb}`, (live.get(`blank ${kind.memoryMb}`) ?? 0) + ready);
        live.set(`spawning ${kind.memoryMb}`, (live.get(`spawning ${kind.memoryMb}`) ?? 0) + starting);
      }
      for (const key of live.keys()) shown.add(key);
      for (const key of shown) {
        const [name = '', size = ''] = key.split(' ');
        instruments.poolProcesses
          .with({ 'hearth.state': name, 'hearth.memory_class': Number(size) })
          .set(live.get(key) ?? 0);
      }
      for (const { fn, waiters } of state.queued) {
        if (waiters.length > 0 || queuedBefore.has(fn.id))
          instruments.queueLength.with(functionAttributes(fn)).set(waiters.length);
        if (waiters.length > 0) queuedBefore.add(fn.id);
        else queuedBefore.delete(fn.id);
      }
      instruments.codeCacheHits.with({}).add(state.code.hits - counted.hits);
      instruments.codeCacheMisses.with({}).add(state.code.misses - counted.misses);
      instruments.codeCacheEvictions.with({}).add(state.code.evictions - counted.evictions);
      instruments.codeCacheBytes.with({}).set(state.code.bytes);
      instruments.executionsBuffered.with({}).set(state.writer.buffered);
      instruments.executionsWritten.with({}).add(state.writer.written - counted.written);
      instruments.executionsDropped.with({}).add(state.writer.dropped - counted.dropped);
      instruments.eventsDue.with({}).set(state.events.due);
      instruments.eventsLag.with({}).set(state.events.lag);
      instruments.eventsDead.with({}).set(state.events.dead);
      instruments.eventsRunning.with({}).set(state.events.running);
      instruments.databaseUp.with({}).set(state.databaseUp ? 1 : 0);
      tenants.set(state.tenants);
      Object.assign(counted, state.code, state.writer);
      watch.sample();
      cluster.absorb(SUPERVISOR, recorder.drain());
    },
  };
}
