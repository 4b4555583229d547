/** What routers have of the supervisor: their configuration, answers to what they ask, and ears for what they tell. */
import type { UsageLedger } from '../store/usage_ledger.js';
import type { Connections } from './connections.js';
import type { Events } from './events/main.js';
import type { ExecutionRecording } from './execution_recording.js';
import type { LiveLogs } from './live_logs.js';
import type { NodeMetrics } from './node_metrics.js';
import type { SupervisorOptions } from './options.js';
import type { NodeProcesses } from './processes.js';
import type { PrepareSource, SupervisorMethods } from './protocol.js';
import type { RouterHandlers } from './routers.js';
import type { Served } from './served.js';
import type { Sync } from './sync.js';

export interface RouterHandlersParts {
  metrics: NodeMetrics;
  executions: ExecutionRecording;
  ledger: Pick<UsageLedger, 'flush'>;
  liveLogs: LiveLogs;
  processes: Pick<NodeProcesses, 'pool' | 'fleet' | 'quotas'>;
  served: Pick<Served, 'drained'>;
  connections: Pick<Connections, 'few' | 'routerUp' | 'routerGone' | 'closed'>;
  events: Pick<Events, 'routerUp' | 'routerGone' | 'due'>;
  /** Null until what there is at the start has been applied. */
  sync(): Sync | null;
  /** Resolves when it has been. */
  synced: Promise<Sync>;
  /** New code of a function was deployed at this node. */
  warm(functionId: string): void;
  isDatabaseUp(): boolean;
  isStopping(): boolean;
}

/** ms that a router has to hand over what it has noted. */
const FLUSH_MS = 2_000;

export function createRouterHandlers(
  options: Pick<SupervisorOptions, 'routers' | 'routerConfig' | 'telemetry' | 'prepare'>,
  parts: RouterHandlersParts,
): RouterHandlers {
  const { routers } = options;
  const { metrics, executions, liveLogs, events, sync } = parts;
  const { pool, fleet, quotas } = parts.processes;

  async function flush(): Promise<null> {
    await routers.askAll('flush', null, FLUSH_MS);
    await executions.flush();
    await parts.ledger.flush();
    return null;
  }

  return {
    config: (router) => ({
      ...options.routerConfig,
      databaseUp: parts.isDatabaseUp(),
      few: parts.connections.few,
      telemetry: { ...options.telemetry, process: metrics.routerUp(router) },
    }),
    async answer(router, method, params): Promise<unknown> {
      switch (method) {
        case 'prepare':
          return await options.prepare(params as PrepareSource);
        case 'changed':
          await sync()?.functions.refresh(params as string);
          parts.warm(params as string);
          return null;
        case 'tenant-changed':
          await sync()?.tenants.refresh(params as string);
          return null;
        case 'tenant-drained':
          await parts.served.drained(params as string);
          return null;
        case 'flush':
          return await flush();
        case 'follow': {
          const { functionId, on } = params as SupervisorMethods['follow']['params'];
          liveLogs.follow(router, functionId, on);
          return null;
        }
      }
    },
    onMessage(router, message) {
      switch (message.t) {
        case 'acquire':
          fleet.acquire(router, message.functionId, message.call, message.due);
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
          for (const row of message.rows) executions.add(row);
          break;
        case 'metrics':
          metrics.absorb(router, message.deltas);
          break;
        case 'event-taken':
          events.due();
          break;
        case 'budget-ask':
        case 'budget-return':
          quotas.handle(router, message);
          break;
        case 'up':
          parts.connections.routerUp(router);
          break;
        case 'closed':
          parts.connections.closed(router, message.connections);
          break;
      }
    },
    async onUp(router) {
      fleet.routerUp(router.id);
      for (const { id, state, sockets } of pool.processes()) {
        if (state === 'blank') router.send({ t: 'blank', process: id, sockets });
      }
      const { tenants, functions } = await parts.synced;
      await router.ask('tenants', { changed: tenants.all(), removed: [], complete: true });
      quotas.routerUp(router.send);
      await router.ask('functions', { changed: functions.all(), removed: [], complete: true });
      events.routerUp(router.id);
    },
    onGone(router) {
      parts.connections.routerGone(router);
      events.routerGone(router);
      fleet.routerGone(router);
      quotas.routerGone(router);
      liveLogs.routerGone(router);
      metrics.routerGone(router, parts.isStopping());
    },
  };
}
