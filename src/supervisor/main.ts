/** The supervisor: the primary process of a node, which owns the Deno processes, the routers and the work by the clock. */
import type { TenantWithSecrets } from '../store/tenants.js';
import type { FunctionMeta } from '../store/types.js';
import { createUsageLedger } from '../store/usage_ledger.js';
import { createChanges } from './changes.js';
import { createConnections } from './connections.js';
import { startDatabaseCheck } from './database_check.js';
import { createEvents } from './events/main.js';
import { createExecutionRecording } from './execution_recording.js';
import { createLiveLogs } from './live_logs.js';
import { createNodeMetrics } from './node_metrics.js';
import type { SupervisorOptions } from './options.js';
import { createProcessTokens, TOKEN_LIFE_S } from './process_tokens.js';
import { createProcessUsage } from './process_usage.js';
import { startProcesses } from './processes.js';
import { startResealing } from './resealing.js';
import { createRouterHandlers } from './router_handlers.js';
import { createNodeSecrets } from './secrets.js';
import { createServed } from './served.js';
import { type Sync, startSync } from './sync.js';
import { startUpkeep } from './upkeep.js';

export type { SupervisorOptions };

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

export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { store, routers, log, onError } = options;
  const metrics = createNodeMetrics(options.metrics, {
    poolSize: options.poolSize,
    processes: options.maxProcesses,
    memoryMib: options.memoryMib,
    events: options.eventsConcurrency,
  });
  let sync: Sync | null = null;
  let databaseUp = true;
  let stopping = false;
  const functions = () => sync?.functions.all() ?? [];

  const ledger = createUsageLedger({
    write: store.usage.add,
    now: Date.now,
    onError,
    beforeFlush: () => usage.settle(),
  });
  const usage = createProcessUsage(ledger, Date.now);
  const executions = createExecutionRecording({
    store,
    ledger,
    onWrite: metrics.wrote,
    onComplete: (execution) => events.ended(execution),
    now: Date.now,
    onError,
  });
  const connections = createConnections({ give: routers.give, onError });
  const liveLogs = createLiveLogs((router, message) => routers.send(router, message));

  const tenants = new Map<string, TenantWithSecrets>();
  const secrets = createNodeSecrets({ values: store.secrets.values });
  const tokens = createProcessTokens({
    secretOf: (tenant) => tenants.get(tenant)?.jwt_secrets[0]?.secret,
    now: Date.now,
  });
  tokens.keep('default', options.defaultKey); // that of `credentials.json`
  const processes = await startProcesses(options, {
    metrics,
    executions,
    usage,
    liveLogs,
    tenants,
    tokens,
    secrets,
  });
  const { pool, fleet, quotas, warming } = processes;
  const events = createEvents({
    store,
    concurrency: options.eventsConcurrency,
    url: options.url,
    routers,
    functions,
    find: (id) => sync?.functions.find(id),
    async refresh(id) {
      await sync?.functions.refresh(id);
    },
    tenant: (slug) => tenants.get(slug),
    waiting: fleet.awaited,
    record: executions.add,
    onEnded: metrics.eventEnded,
    onRetry: metrics.eventRetried,
    now: Date.now,
    onError,
  });

  const served = createServed({
    fleet,
    functions,
    tenant: (slug) => tenants.get(slug),
    now: Date.now,
  });
  const changes = createChanges(options, {
    metrics,
    tenants,
    tokens,
    secrets,
    served,
    processes,
    schedules: events.schedules,
    isSynced: () => sync !== null,
  });

  /** New code was deployed at this node. */
  function warm(functionId: string) {
    const fn = sync?.functions.find(functionId);
    if (fn !== undefined) warming.deployed(fn);
  }

  const upkeep = startUpkeep(store, onError);
  const resealing = startResealing(store.resealing, log, onError);
  const synced = Promise.all([upkeep, options.mayServe]).then(async () => {
    sync = await startSync({
      store,
      applyFunctions: changes.applyFunctions,
      applyTenants: changes.applyTenants,
      onKey: (hash) => routers.broadcast({ t: 'key-changed', hash }),
      onError,
    });
    await quotas.start();
    return sync;
  });
  synced.catch(() => {}); // reported where it is awaited
  const listening = routers.serve(
    createRouterHandlers(options, {
      metrics,
      executions,
      ledger,
      liveLogs,
      processes,
      served,
      connections,
      events,
      sync: () => sync,
      synced,
      warm,
      isDatabaseUp: () => databaseUp,
      isStopping: () => stopping,
    }),
  );
  try {
    await synced;
    await listening;
    await connections.listen(options.address);
  } catch (error) {
    await resealing.stop();
    // Its processes write to their folders, which are removed next.
    await pool.stop();
    throw error;
  }

  events.start();
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
      executions.tick();
    }, TICK_MS),
    setInterval(quotas.tick, QUOTA_TICK_MS),
    setInterval(() => processes.renewTokens(null), (TOKEN_LIFE_S / 2) * 1000),
  ];

  return {
    functions,
    deployed: (ids) => ids.forEach(warm),
    async collectMetrics() {
      metrics.gauges({
        pool: pool.counts(),
        instances: fleet.instances(),
        queued: fleet.functions(),
        code: options.code.stats(),
        writer: executions.stats(),
        events: events.stats(),
        tenants: { shares: fleet.shares(), quotas: tenants.values(), used: quotas.used },
        databaseUp,
      });
      for (const [router, deltas] of await routers.askAll('metrics', null, 900))
        metrics.absorb(router, deltas);
      metrics.settle();
    },
    endProcesses() {
      for (const process of pool.processes()) process.kill('shutdown');
    },
    async drain(seconds) {
      stopping = true;
      connections.stop();
      events.pause();
      await routers.drain(seconds);
      await executions.flush().catch(onError);
      await events.stop();
      for (const timer of timers) clearInterval(timer);
      databaseCheck.stop();
      processes.limits.stop();
      (await upkeep).stop();
      await quotas.stop();
      await resealing.stop();
      await Promise.all([warming.stop(), pool.stop()]);
      await executions.flush().catch(onError);
      await sync?.stop();
      await Promise.all([executions.stop(), ledger.stop()]);
    },
  };
}
