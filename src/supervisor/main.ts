/** The supervisor: the primary process of a node, which owns the Deno processes, the routers and the work by the clock. */
import type { CodeCache } from '../pool/code_cache.js';
import type { EndReason } from '../pool/ending.js';
import { createPool } from '../pool/main.js';
import type { Prepare } from '../pool/prepare.js';
import type { DenoProcess } from '../pool/process.js';
import type { Sandbox } from '../pool/sandbox.js';
import { createExecutionWriter } from '../store/execution_writer.js';
import type { Store } from '../store/main.js';
import type { TenantWithSecrets } from '../store/tenants.js';
import type { FunctionMeta } from '../store/types.js';
import { createUsageLedger } from '../store/usage_ledger.js';
import type { ClusterMetrics } from '../telemetry/cluster_metrics.js';
import type { Exports } from '../telemetry/exports.js';
import type { Logger } from '../telemetry/logger.js';
import { createNodeQuotas } from './budgets_node.js';
import { createClaims } from './claims.js';
import { createCpuLimits } from './cpu_limits.js';
import { startDatabaseCheck } from './database_check.js';
import { createExecutionJoin } from './execution_join.js';
import { mayStart } from './fleet/scaling.js';
import { createFleet, type Fleet, type Instance } from './fleet.js';
import { createFunctionCode } from './function_code.js';
import { createFunctionTelemetry } from './function_telemetry.js';
import { createLiveLogs } from './live_logs.js';
import { createNodeMetrics } from './node_metrics.js';
import { type AnonKey, createProcessTokens, TOKEN_LIFE_S } from './process_tokens.js';
import { createProcessUsage } from './process_usage.js';
import type {
  ExecutionRow,
  PrepareSource,
  RouterConfig,
  RouterTelemetry,
  SupervisorMethods,
  ToSupervisor,
} from './protocol.js';
import { createRedaction } from './redaction.js';
import { startResealing } from './resealing.js';
import type { Routers } from './routers.js';
import { createNodeSecrets } from './secrets.js';
import { createServed } from './served.js';
import { environmentOf } from './specification.js';
import { type Sync, startSync } from './sync.js';
import type { TenantChange } from './tenant_sync.js';
import { startUpkeep } from './upkeep.js';
import { createWarming } from './warming.js';
import { startWatch } from './watch.js';

export interface SupervisorOptions {
  store: Store;
  runDir: string;
  /** Where the pool keeps what serves its processes again in the next run. */
  poolCacheDir: string;
  sandbox: Sandbox;
  poolSize: number;
  /** Forked, and waiting for their configuration. */
  routers: Routers;
  /** ms; the window of functions whose habits are not known yet. */
  keepAliveMs: number;
  /** ms of CPU that one call may use; null: as long as its function's time limit. */
  callCpuMs: number | null;
  maxProcesses: number;
  /** MiB that they may have together. */
  memoryMib: number;
  code: CodeCache;
  /** What V8's code caches depend on besides the code. */
  engine: string;
  /** Whatever else has to be there before a call is served: the functions that come from files, say. */
  mayServe: Promise<unknown>;
  prepare: Prepare;
  metrics: ClusterMetrics;
  routerConfig: Omit<RouterConfig, 'databaseUp' | 'telemetry'>;
  telemetry: Omit<RouterTelemetry, 'process'>;
  /** The node's address as functions reach it. */
  url: string;
  region: string;
  /** The default tenant's secret, and its anon key. */
  defaultKey: AnonKey;
  /** The default tenant's tokens are signed with another secret from now on: resolves with its anon key. */
  onDefaultSecret(secret: string): Promise<string>;
  log: Logger;
  /** Where spans and lines of functions go. */
  exports: Exports;
  onError(error: unknown): void;
}

export interface Supervisor {
  functions(): FunctionMeta[];
  /** Functions whose code this process deployed itself before it served, as `reload` at start does. */
  deployed(functionIds: readonly string[]): void;
  /** Gathers the newest points of every process of ours. */
  collectMetrics(): Promise<void>;
  /** Ends every function's process now. */
  endProcesses(): void;
  /** Finishes what is in flight within `seconds`, writes what is buffered, ends every process. */
  drain(seconds: number): Promise<void>;
}

const TICK_MS = 50;
const QUOTA_TICK_MS = 100;
/** ms after its last known call for which a process counts as busy: routers report use every second. */
const BUSY_MS = 1_500;
/** MiB that a Deno process has besides what its function holds. */
const RUNTIME_MB = 64;
/** Over so many times its soft limit a process is ended at once. */
const HARD_FACTOR = 2;
const MATTERS_OF_COURSE = new Set<EndReason>(['idle', 'superseded', 'evicted', 'shutdown']);

export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { store, routers, log, onError } = options;
  const metrics = createNodeMetrics(options.metrics, {
    poolSize: options.poolSize,
    processes: options.maxProcesses,
    memoryMib: options.memoryMib,
  });
  let sync: Sync | null = null;
  let databaseUp = true;
  let stopping = false;

  const writer = createExecutionWriter(store.sql, { onError, onWrite: metrics.wrote });
  const liveLogs = createLiveLogs((router, message) => routers.send(router, message));
  const ledger = createUsageLedger({
    write: store.usage.add,
    now: Date.now,
    onError,
    beforeFlush: () => processUsage.settle(),
  });
  const processUsage = createProcessUsage(ledger, Date.now);
  const join = createExecutionJoin({
    write(execution) {
      // Of those that were complete their router has counted the CPU.
      ledger.add(execution, { cpu_ms: execution.cpu_ms ?? 0 });
      writer.add(execution);
    },
    flushWriter: writer.flush,
    amend: (functionId, id, logs) => store.executions.amend(functionId, id, { logs }),
    onError,
    now: Date.now,
  });

  const secrets = createNodeSecrets({ values: store.secrets.values });
  const redaction = createRedaction(Date.now);

  const pool = await createPool({
    runDir: options.runDir,
    cacheDir: options.poolCacheDir,
    sandbox: options.sandbox,
    size: options.poolSize,
    onBlank: ({ id, sockets }) => routers.broadcast({ t: 'blank', process: id, sockets }),
    onSpawned: metrics.spawned,
    onEnded: (process) =>
      void process.ended.then((ending) => {
        metrics.ended(ending.reason);
        tellFollowers(process, ending.reason);
        fleet.ended(process.id, ending.reason);
      }),
    onError,
  });

  const tenants = new Map<string, TenantWithSecrets>();
  const tokens = createProcessTokens({
    secretOf: (tenant) => tenants.get(tenant)?.jwt_secrets[0]?.secret,
    now: Date.now,
  });
  tokens.keep('default', options.defaultKey); // that of `credentials.json`
  const processOf = (id: number) => processes.get(id);
  const processes = new Map<number, DenoProcess>();

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
      end: (instance, reason) => processOf(instance.address?.process ?? 0)?.kill(reason),
      trim: (instance) => processOf(instance.address?.process ?? 0)?.trim(),
      isHeld: (instance) => processOf(instance.address?.process ?? 0)?.held ?? false,
      send: (router, message) => routers.send(router, message),
      broadcast: (message) => routers.broadcast(message),
    },
  });

  const served = createServed({
    fleet,
    functions: () => sync?.functions.all() ?? [],
    tenant: (slug) => tenants.get(slug),
    now: Date.now,
  });

  const quotas = createNodeQuotas({
    quotaUse: store.quotaUse,
    quotasOf: (tenant) => tenants.get(tenant)?.quotas,
    shareOf: (tenant) => fleet.shareOf(tenant),
    routers,
    now: Date.now,
    onError,
  });

  const functionTelemetry = createFunctionTelemetry({
    ...options.exports,
    key: options.telemetry.key,
    now: Date.now,
  });

  const functionCode = createFunctionCode({
    code: options.code,
    engine: options.engine,
    loadBundle: store.functions.bundle,
    loadCache: store.functions.codeCache,
    storeCache: store.functions.keepCodeCache,
    onError,
  });

  const claims = createClaims({
    pool,
    code: functionCode,
    fleet,
    environment: (fn) =>
      environmentOf(fn, {
        url: options.url,
        region: options.region,
        anonKey: tokens.anonKeyOf(fn.tenant),
        token: tokens.tokenOf(fn.tenant),
      }),
    secrets: (fn) => secrets.of(fn, tenants.get(fn.tenant)?.secrets_revision ?? 1),
    tracing: functionTelemetry.wanted,
    events: (fn) => {
      const telemetry = functionTelemetry.of(fn);
      return {
        onLog: (id, lines, origin) => {
          if (id !== null && !fn.disable_execution_logs) join.onLog(fn.id, id, lines);
          liveLogs.onLog(fn.id, id, lines);
          telemetry.onLog(id, lines, origin);
        },
        onSpan: telemetry.onSpan,
        onEnd: (id, cpuUs) => join.onEnd(fn.id, id, cpuUs),
      };
    },
    onTaken(process, redact) {
      if (redact === null) return;
      redaction.given(process.id, redact);
      void process.ended.then(() => redaction.ended(process.id));
    },
    onClaimed(fn, claimed, tookMs) {
      processes.set(claimed.process.id, claimed.process);
      processUsage.claimed(claimed.process.id, fn);
      void claimed.process.ended.then(() => {
        processUsage.ended(claimed.process.id);
        processes.delete(claimed.process.id);
        cpuLimits.forget(claimed.process.id);
        quotas.processEnded(claimed.process.id);
      });
      void watch.cpuOf(claimed.process).then((cpuMs) => {
        if (cpuMs !== null && processes.has(claimed.process.id))
          quotas.sampled(claimed.process.id, fn.tenant, cpuMs);
      });
      metrics.claimed(fn, claimed, tookMs);
      log.debug('a process was claimed', {
        tenant: fn.tenant,
        function: fn.name,
        took_ms: Math.round(tookMs),
      });
    },
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

  /** New code was deployed at this node. */
  function warm(functionId: string) {
    const fn = sync?.functions.find(functionId);
    if (fn !== undefined) warming.deployed(fn);
  }

  /** Who follows a function's log sees why a process of it ended, where that is no matter of course. */
  function tellFollowers(process: DenoProcess, reason: EndReason) {
    const fn = fleet.instanceOf(process.id)?.fn;
    if (fn === undefined || MATTERS_OF_COURSE.has(reason)) return;
    log.info(`a process ended: ${reason}`, { tenant: fn.tenant, function: fn.name, reason });
    liveLogs.onLog(fn.id, null, [[Date.now(), 'error', `A process of this function ended: ${reason}.`]]);
  }

  /** @param tenant only of its functions, whose keys are signed anew; null: of all. */
  function renewTokens(tenant: string | null) {
    for (const process of processes.values()) {
      const fn = fleet.instanceOf(process.id)?.fn;
      if (fn === undefined || (tenant !== null && fn.tenant !== tenant)) continue;
      const token = tokens.tokenOf(fn.tenant);
      process.setEnv({
        HEARTH_TOKEN: token,
        FLUXBASE_TOKEN: token,
        ...(tenant === null ? {} : { SUPABASE_ANON_KEY: tokens.anonKeyOf(tenant) }),
      });
    }
  }

  async function onSecret({ slug, jwt_secrets }: TenantWithSecrets) {
    const secret = jwt_secrets[0]?.secret;
    if (slug === 'default' && secret !== undefined) {
      await options.onDefaultSecret(secret).then((key) => tokens.keep(slug, { secret, key }), onError);
    }
    renewTokens(slug);
  }

  const cpuLimits = createCpuLimits();

  function limitCpu(process: DenoProcess, instance: Instance, cpuMs: number) {
    let running = 0;
    let oldest: number | null = null;
    for (const calls of instance.running.values()) {
      running += calls.calls;
      if (calls.oldest !== null) oldest = Math.min(calls.oldest, oldest ?? calls.oldest);
    }
    // `waitUntil` gets as long as a call would.
    const quietMs = Date.now() - instance.lastUsed;
    const held = process.held && quietMs < instance.fn.timeout_seconds * 1000 + BUSY_MS;
    if (process.held && !held && running === 0) fleet.retireProcess(process.id, 'background');
    const verdict = cpuLimits.judge({
      process: process.id,
      at: Date.now(),
      cpuMs,
      running,
      oldest,
      held,
      lastUsed: instance.lastUsed,
      limitMs: options.callCpuMs ?? instance.fn.timeout_seconds * 1000,
    });
    if (verdict === 'background') process.kill('background');
    else if (verdict === 'cpu') fleet.overdue(process.id, 'cpu');
  }

  const watch = startWatch({
    live: () => processes.values(),
    *busy() {
      for (const instance of fleet.instances()) {
        const process = processOf(instance.address?.process ?? 0);
        // An idle process is left asleep: waking many of them several times a second would cost the busy ones.
        const busy = instance.running.size > 0 || Date.now() - instance.lastUsed < BUSY_MS;
        if (process !== undefined && instance.leased > 0 && busy) yield process;
      }
    },
    onSample({ process, memory, cpuMs }) {
      const instance = fleet.instanceOf(process.id);
      if (instance === undefined) return;
      const { fn } = instance;
      // A function that is gone has no series any more.
      if (fleet.has(fn.id)) metrics.sampled(fn, process.id, memory, cpuMs);
      fleet.measured(process.id, memory / 1024 / 1024);
      quotas.sampled(process.id, fn.tenant, cpuMs);
      // Over the soft limit a process takes no new calls, and another takes its place.
      const softLimit = (fn.memory_limit_mb + RUNTIME_MB) * 1024 * 1024;
      if (memory > HARD_FACTOR * softLimit) process.kill('memory');
      else if (memory > softLimit) fleet.retireProcess(process.id, 'memory');
      limitCpu(process, instance, cpuMs);
    },
    onStuck: (process, stuck) => fleet.setStuck(process.id, stuck),
    onError,
  });

  async function applyTenants(change: TenantChange) {
    const resigned = change.changed.filter(({ slug, jwt_secrets }) => {
      const known = tenants.get(slug);
      return known !== undefined && known.jwt_secrets[0]?.secret !== jwt_secrets[0]?.secret;
    });
    const renewed = change.changed
      .filter(
        ({ slug, secrets_revision }) =>
          (tenants.get(slug)?.secrets_revision ?? secrets_revision) !== secrets_revision,
      )
      .map(({ slug }) => slug);
    for (const tenant of change.changed) {
      tenants.set(tenant.slug, tenant);
      metrics.tenantThere(tenant.slug);
    }
    for (const slug of change.removed) tenants.delete(slug);
    served.applyTenants(change);
    for (const { slug } of change.changed) quotas.tenantChanged(slug);
    for (const slug of renewed) fleet.renewSecrets(slug);
    for (const slug of change.removed) {
      tokens.forget(slug);
      metrics.tenantGone(slug);
      quotas.tenantRemoved(slug);
      secrets.forgetTenant(slug);
    }
    // What there is at the start each router is told when it is up.
    if (sync !== null) await routers.askAll('tenants', change, 1_000);
    for (const tenant of resigned) await onSecret(tenant);
  }

  async function applyFunctions(change: { changed: FunctionMeta[]; removed: string[]; complete: boolean }) {
    for (const meta of change.changed) {
      served.setFunction(meta);
      metrics.functionThere(meta);
    }
    for (const id of change.removed) {
      const fn = fleet.removeFunction(id);
      if (fn !== undefined) metrics.functionGone(fn);
      secrets.forgetFunction(id);
    }
    if (change.complete) {
      const ids = new Set(change.changed.map((meta) => meta.id));
      for (const { fn } of [...fleet.functions()]) if (!ids.has(fn.id)) fleet.removeFunction(fn.id);
    }
    // What there is at the start each router is told when it is up.
    if (sync !== null) await routers.askAll('functions', change, 1_000);
    // What was just deployed is called soon: its code is in the cache by then.
    if (!change.complete) for (const fn of change.changed) functionCode.of(fn).catch(onError);
  }

  async function flush(): Promise<null> {
    await routers.askAll('flush', null, 2_000);
    await join.flush();
    await ledger.flush();
    return null;
  }

  async function answer(router: number, method: keyof SupervisorMethods, params: unknown): Promise<unknown> {
    switch (method) {
      case 'prepare':
        return await options.prepare(params as PrepareSource);
      case 'changed':
        await sync?.functions.refresh(params as string);
        warm(params as string);
        return null;
      case 'tenant-changed':
        await sync?.tenants.refresh(params as string);
        return null;
      case 'tenant-drained':
        await served.drained(params as string);
        return null;
      case 'flush':
        return await flush();
      case 'follow': {
        const { functionId, on } = params as SupervisorMethods['follow']['params'];
        liveLogs.follow(router, functionId, on);
        return null;
      }
    }
  }

  function take(row: ExecutionRow) {
    const execution = redaction.of(row);
    if (row.complete) writer.add(execution);
    else join.onRecord(execution, true);
  }

  function onMessage(router: number, message: Exclude<ToSupervisor, { t: 'request' | 'reply' | 'hello' }>) {
    switch (message.t) {
      case 'acquire':
        fleet.acquire(router, message.functionId, message.call);
        break;
      case 'cancel':
        fleet.cancel(router, message.call);
        break;
      case 'release':
        fleet.release(router, message.process, message.slots);
        break;
      case 'usage':
        for (const [process, running, calls, oldest] of message.rows)
          fleet.usage(router, process, running, calls, oldest);
        break;
      case 'overdue':
        fleet.overdue(message.process);
        break;
      case 'stuck-calls':
        fleet.stuckCalls(router, message.process, message.seen);
        break;
      case 'unreachable':
        fleet.retireProcess(message.process, 'unreachable');
        break;
      case 'executions':
        for (const row of message.rows) take(row);
        break;
      case 'metrics':
        metrics.absorb(router, message.deltas);
        break;
      case 'budget-ask':
      case 'budget-return':
        quotas.handle(router, message);
        break;
      case 'up':
        break;
    }
  }

  const upkeep = startUpkeep(store, onError);
  const resealing = startResealing(store.resealing, log, onError);
  const synced = Promise.all([upkeep, options.mayServe]).then(async () => {
    sync = await startSync({
      store,
      applyFunctions,
      applyTenants,
      onKey: (hash) => routers.broadcast({ t: 'key-changed', hash }),
      onError,
    });
    await quotas.start();
    return sync;
  });
  synced.catch(() => {}); // reported where it is awaited
  const listening = routers.serve({
    config: (router) => ({
      ...options.routerConfig,
      databaseUp,
      telemetry: { ...options.telemetry, process: metrics.routerUp(router) },
    }),
    answer,
    onMessage,
    async onUp(router) {
      fleet.routerUp(router.id);
      for (const { id, state, sockets } of pool.processes()) {
        if (state === 'blank') router.send({ t: 'blank', process: id, sockets });
      }
      const { tenants, functions } = await synced;
      await router.ask('tenants', { changed: tenants.all(), removed: [], complete: true });
      quotas.routerUp(router.send);
      await router.ask('functions', { changed: functions.all(), removed: [], complete: true });
    },
    onGone(router) {
      fleet.routerGone(router);
      quotas.routerGone(router);
      liveLogs.routerGone(router);
      metrics.routerGone(router, stopping);
    },
  });
  try {
    await synced;
    await listening;
  } catch (error) {
    await resealing.stop();
    // Its processes write to their folders, which are removed next.
    await pool.stop();
    throw error;
  }

  const databaseCheck = startDatabaseCheck({
    ping: store.ping,
    sessions: store.sessions,
    onChecked(up) {
      if (up && !databaseUp) log.info('the database answers again');
      else if (!up && databaseUp) log.error('the database does not answer');
      databaseUp = up;
      routers.broadcast({ t: 'database', up });
    },
    onTook: metrics.checked,
    onSessions: metrics.sessions,
  });

  const timers = [
    setInterval(() => {
      fleet.tick();
      join.tick(Date.now());
      redaction.tick();
    }, TICK_MS),
    setInterval(quotas.tick, QUOTA_TICK_MS),
    setInterval(() => renewTokens(null), (TOKEN_LIFE_S / 2) * 1000),
  ];

  async function collectMetrics() {
    metrics.gauges({
      pool: pool.counts(),
      instances: fleet.instances(),
      queued: fleet.functions(),
      code: options.code.stats(),
      writer: writer.stats(),
      tenants: { shares: fleet.shares(), quotas: tenants.values(), used: quotas.used },
      databaseUp,
    });
    for (const [router, deltas] of await routers.askAll('metrics', null, 900)) metrics.absorb(router, deltas);
    metrics.settle();
  }

  return {
    functions: () => sync?.functions.all() ?? [],
    deployed: (ids) => ids.forEach(warm),
    collectMetrics,
    endProcesses() {
      for (const process of pool.processes()) process.kill('shutdown');
    },
    async drain(seconds) {
      stopping = true;
      await routers.drain(seconds);
      await join.flush().catch(onError);
      for (const timer of timers) clearInterval(timer);
      databaseCheck.stop();
      watch.stop();
      (await upkeep).stop();
      await quotas.stop();
      await resealing.stop();
      await Promise.all([warming.stop(), pool.stop()]);
      await join.flush().catch(onError);
      await sync?.stop();
      await Promise.all([writer.stop(), ledger.stop()]);
    },
  };
}
