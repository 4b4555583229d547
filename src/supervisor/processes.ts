/**
 * The Deno processes of this node, wired: the pool that they come from, the fleet that decides about them, and who is
 * told of what they say, use and come to.
 */
import type { EndReason } from '../pool/ending.js';
import { type Claimed, createPool } from '../pool/main.js';
import type { DenoProcess, ProcessEvents } from '../pool/process.js';
import type { TenantWithSecrets } from '../store/tenants.js';
import type { FunctionMeta } from '../store/types.js';
import { createNodeQuotas } from './budgets_node.js';
import { createClaims } from './claims.js';
import type { ExecutionRecording } from './execution_recording.js';
import { mayStart } from './fleet/scaling.js';
import { createFleet, type Fleet } from './fleet.js';
import { createFunctionCode } from './function_code.js';
import { createFunctionTelemetry } from './function_telemetry.js';
import type { LiveLogs } from './live_logs.js';
import type { NodeMetrics } from './node_metrics.js';
import type { SupervisorOptions } from './options.js';
import { startProcessLimits } from './process_limits.js';
import type { ProcessTokens } from './process_tokens.js';
import type { ProcessUsage } from './process_usage.js';
import type { NodeSecrets } from './secrets.js';
import { environmentOf } from './specification.js';
import { createTokenRenewal } from './token_renewal.js';
import { createWarming } from './warming.js';

export interface ProcessesParts {
  metrics: NodeMetrics;
  executions: ExecutionRecording;
  usage: ProcessUsage;
  liveLogs: LiveLogs;
  /** By their slugs. */
  tenants: ReadonlyMap<string, TenantWithSecrets>;
  tokens: ProcessTokens;
  secrets: NodeSecrets;
}

export type NodeProcesses = Awaited<ReturnType<typeof startProcesses>>;

const MATTERS_OF_COURSE = new Set<EndReason>(['idle', 'superseded', 'evicted', 'shutdown']);

/** Resolves when there is a pool, which may be filling up yet. Each part is stopped by itself, in a drain's order. */
export async function startProcesses(
  options: SupervisorOptions,
  { metrics, executions, usage, liveLogs, tenants, tokens, secrets }: ProcessesParts,
) {
  const { store, routers, log, onError } = options;
  /** Those that are a function's, by their ids. */
  const processes = new Map<number, DenoProcess>();
  const processOf = (id: number | undefined) => (id === undefined ? undefined : processes.get(id));

  const pool = await createPool({
    runDir: options.runDir,
    memoryDir: options.memoryDir,
    cacheDir: options.poolCacheDir,
    sandbox: options.sandbox,
    size: options.poolSize,
    onBlank: ({ id, sockets }) => routers.broadcast({ t: 'blank', process: id, sockets }),
    onSpawned: metrics.spawned,
    onEnded: (process) =>
      void process.ended.then(({ reason }) => {
        metrics.ended(reason);
        tellFollowers(process.id, reason);
        fleet.ended(process.id, reason);
      }),
    onError,
  });

  const fleet: Fleet = createFleet({
    now: Date.now,
    keepAlive: { fixedMs: options.keepAliveMs },
    maxInstances: options.maxProcesses,
    memoryMib: options.memoryMib,
    quotaOf: (tenant) => quotas.processQuota(tenant),
    onQueueWait: metrics.queueWait,
    onPrewarmed: metrics.prewarmed,
    actions: {
      start: (instance) => claims.start(instance),
      end: (instance, reason) => processOf(instance.address?.process)?.kill(reason),
      trim: (instance) => processOf(instance.address?.process)?.trim(),
      isHeld: (instance) => processOf(instance.address?.process)?.held ?? false,
      send: (router, message) => routers.send(router, message),
      broadcast: (message) => routers.broadcast(message),
    },
  });

  const quotas = createNodeQuotas({
    quotaUse: store.quotaUse,
    quotasOf: (tenant) => tenants.get(tenant)?.quotas,
    shareOf: (tenant) => fleet.shareOf(tenant),
    routers,
    now: Date.now,
    onError,
  });

  const telemetry = createFunctionTelemetry({
    ...options.exports,
    key: options.telemetry.key,
    now: Date.now,
  });

  const code = createFunctionCode({
    code: options.code,
    engine: options.engine,
    loadBundle: store.functions.bundle,
    loadCache: store.functions.codeCache,
    storeCache: store.functions.keepCodeCache,
    onError,
  });

  const claims = createClaims({
    pool,
    code,
    fleet,
    environment: (fn) =>
      environmentOf(fn, {
        url: options.url,
        region: options.region,
        anonKey: tokens.anonKeyOf(fn.tenant),
        token: tokens.tokenOf(fn.tenant),
      }),
    secrets: (fn) => secrets.of(fn, tenants.get(fn.tenant)?.secrets_revision ?? 1),
    tracing: telemetry.wanted,
    events: eventsOf,
    onTaken(process, redact) {
      if (redact === null) return;
      executions.secrets.given(process.id, redact);
      void process.ended.then(() => executions.secrets.ended(process.id));
    },
    onClaimed,
    onError,
  });

  const warming = createWarming({
    mayRun(fn) {
      const quota = quotas.processQuota(fn.tenant);
      const share = fleet.shareOf(fn.tenant);
      const mayHave = quota === null || share === undefined || mayStart(quota, share, fn);
      return mayHave && fleet.queued() === 0 && processes.size < options.maxProcesses;
    },
    run: claims.warm,
    onError,
  });

  const limits = startProcessLimits({
    processes,
    fleet,
    quotas,
    callCpuMs: options.callCpuMs,
    onSample: metrics.sampled,
    now: Date.now,
    onError,
  });

  /** What a process of the function says, for those who keep or follow it. */
  function eventsOf(fn: FunctionMeta): Omit<ProcessEvents, 'onCodeCache'> {
    const exported = telemetry.of(fn);
    return {
      onLog(id, lines, origin) {
        if (id !== null && !fn.disable_execution_logs) executions.onLog(fn.id, id, lines);
        liveLogs.onLog(fn.id, id, lines);
        exported.onLog(id, lines, origin);
      },
      onSpan: exported.onSpan,
      onEnd: (id, cpuUs) => executions.onEnd(fn.id, id, cpuUs),
    };
  }

  function onClaimed(fn: FunctionMeta, claimed: Claimed, tookMs: number) {
    const { process } = claimed;
    processes.set(process.id, process);
    usage.claimed(process.id, fn);
    void process.ended.then(() => {
      usage.ended(process.id);
      processes.delete(process.id);
      limits.ended(process.id);
    });
    limits.claimed(process, fn);
    metrics.claimed(fn, claimed, tookMs);
    log.debug('a process was claimed', {
      tenant: fn.tenant,
      function: fn.name,
      took_ms: Math.round(tookMs),
    });
  }

  /** Who follows a function's log sees why a process of it ended, where that is no matter of course. */
  function tellFollowers(process: number, reason: EndReason) {
    const fn = fleet.instanceOf(process)?.fn;
    if (fn === undefined || MATTERS_OF_COURSE.has(reason)) return;
    log.info(`a process ended: ${reason}`, { tenant: fn.tenant, function: fn.name, reason });
    liveLogs.onLog(fn.id, null, [[Date.now(), 'error', `A process of this function ended: ${reason}.`]]);
  }

  return {
    pool,
    fleet,
    quotas,
    code,
    warming,
    limits,
    renewTokens: createTokenRenewal({ processes, fleet, tokens }),
  };
}
