/**
 * Due work on this node: what waits is claimed as there is room, run by the routers as any call is, and settled; leases are
 * renewed, and what a node that is gone has left is taken over.
 */
import { randomUUID } from 'node:crypto';
import type { ErrorCode } from '../../errors.js';
import { isDatabaseAway } from '../../store/database_errors.js';
import type { ClaimedEvent, EventCounts } from '../../store/events.js';
import type { Store } from '../../store/main.js';
import type { DueTrigger, Execution, FunctionMeta, Tenant } from '../../store/types.js';
import { newUuidv7 } from '../../store/uuidv7.js';
import type { EventOutcome } from '../../telemetry/instruments.js';
import { type DueCall, type DueOutcome, type ExecutionRow, isDue } from '../protocol.js';
import type { Routers } from '../routers.js';
import { createContact } from './contact.js';
import { type AttemptEnd, type Fate, roomFor, shareOf } from './fate.js';
import { createRunning } from './running.js';
import { createSchedules, type Schedules } from './schedules.js';
import { createSettling } from './settling.js';
import { createShares } from './shares.js';

export interface Events {
  readonly schedules: Pick<Schedules, 'applyFunctions' | 'applyTenants'>;
  /** What there is of functions and tenants is known. */
  start(): void;
  /** A router has its functions: it may be given work. */
  routerUp(router: number): void;
  routerGone(router: number): void;
  /** There is something new that is due. */
  due(): void;
  /** An execution is as complete as it gets. Whether it was of due work. */
  ended(execution: Execution): boolean;
  stats(): EventStats;
  /** Nothing is begun any more. */
  pause(): void;
  /** What was begun is over, or given back. The routers are gone by then. */
  stop(): Promise<void>;
}

/** `running` is this node's; what else there is, the cluster's. */
export interface EventStats extends EventCounts {
  running: number;
}

export interface EventsOptions {
  store: Pick<Store, 'events' | 'schedules'>;
  /** How much may run at once; 0: nothing does here. */
  concurrency: number;
  /** The node's own address. */
  url: string;
  routers: Pick<Routers, 'ask'>;
  functions(): FunctionMeta[];
  find(functionId: string): FunctionMeta | undefined;
  /** One that may be new is asked for. */
  refresh(functionId: string): Promise<void>;
  tenant(slug: string): Tenant | undefined;
  /** Calls that wait for a slot, and somebody for them. */
  waiting(): number;
  record(row: ExecutionRow): void;
  onEnded(fn: { tenant: string; name: string }, trigger: DueTrigger, outcome: EventOutcome): void;
  onRetry(fn: { tenant: string; name: string }, trigger: DueTrigger): void;
  /** Unix ms. */
  now(): number;
  onError(error: unknown): void;
}

const LOOK_MS = 1_000;
/** Events of one claim: their bodies are in memory until a router has them. */
const MAX_CLAIMED = 64;
/** ms that what a node has begun is its own, unless it says so again. */
const LEASE_MS = 20_000;
/** Looks between two renewals, and between two counts. */
const RENEW_EVERY = 5;
/** ms beyond a function's own time, and that of loading it, after which a router that does not answer has lost the call. */
const PATIENCE_MS = 60_000;
const DEFAULT_TIMEOUT_SECONDS = 300;
/** ms that everything due of a disabled function waits. */
const DISABLED_MS = 60_000;
const STOP_MS = 5_000;
/** Refusals that the next call of the same tenant would get as well. */
const NO_ROOM: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['QUOTA_EXCEEDED', 'OVERLOADED']);

export function createEvents(options: EventsOptions): Events {
  const { store, concurrency, routers, now } = options;
  const node = randomUUID();
  /** Those that may be given work, the one that was last at the end. */
  const ready: number[] = [];
  let counts: EventCounts = { due: 0, lag: 0, dead: 0 };
  let looking = false;
  let again = false;
  let paused = true;
  let stopped = false;
  let timer: NodeJS.Timeout | null = null;
  let looks = 0;
  const heard = createContact();
  const share = shareOf(concurrency);
  const shares = createShares(share, () => performance.now());

  const settling = createSettling({
    write: (events) => store.events.settle(node, events),
    onSettled(events) {
      for (const event of events) running.settled(event);
      void look();
    },
    onError: options.onError,
  });
  const running = createRunning({
    run,
    record: options.record,
    settling,
    onFate,
    url: options.url,
    random: Math.random,
  });
  const schedules = createSchedules({
    store: store.schedules,
    functions: options.functions,
    find: options.find,
    tenant: options.tenant,
    onMade: () => void look(),
    onSkipped: (fn) => options.onEnded(fn, 'cron', 'skipped'),
    newId: newUuidv7,
    now,
    onError: reportUnlessAway,
  });

  /** That the database is away the health check reports. */
  function reportUnlessAway(error: unknown) {
    if (!isDatabaseAway(error)) options.onError(error);
  }

  async function run(call: DueCall): Promise<DueOutcome> {
    // It may be new, and be known to other nodes alone.
    if (options.find(call.functionId) === undefined)
      await options.refresh(call.functionId).catch(reportUnlessAway);
    const router = ready.shift();
    if (router === undefined)
      return { refused: { code: 'UNAVAILABLE', message: 'No router of the node is ready.' } };
    ready.push(router);
    const seconds = options.find(call.functionId)?.timeout_seconds ?? DEFAULT_TIMEOUT_SECONDS;
    return await routers.ask(router, 'run', call, seconds * 2_000 + PATIENCE_MS);
  }

  function onFate({ tenant, functionId, trigger, fn }: ClaimedEvent, fate: Fate, end: AttemptEnd | null) {
    if (end?.kind === 'refused' && end.code === 'FUNCTION_DISABLED')
      store.events.postpone(functionId, DISABLED_MS).catch(reportUnlessAway);
    if (end?.kind === 'refused' && NO_ROOM.has(end.code)) shares.refused(tenant, running.unended(tenant));
    if (fn === null) return;
    const named = { tenant, name: fn.name };
    if (fate.to !== 'waiting') options.onEnded(named, trigger, outcomeOf(fate));
    else if (fate.counts) options.onRetry(named, trigger);
  }

  /** One at a time. */
  async function look() {
    again = true;
    if (looking) return;
    looking = true;
    try {
      while (again && !paused && ready.length > 0) {
        again = false;
        const room = roomFor(concurrency, running.size(), options.waiting());
        if (room === 0) break;
        const claimed = await store.events.claim({
          node,
          room: Math.min(room, MAX_CLAIMED),
          share,
          shares: shares.lowered(),
          running: running.counts(),
          leaseMs: LEASE_MS,
        });
        for (const event of claimed) running.begin(event);
        again ||= claimed.length === MAX_CLAIMED;
      }
    } catch (error) {
      reportUnlessAway(error);
    } finally {
      looking = false;
    }
  }

  async function keep() {
    await store.events.renew(node, running.ids(), LEASE_MS);
    counts = await store.events.counts();
    if (!heard(performance.now()) || concurrency === 0 || paused) return;
    for (const event of await store.events.claimLost(node, LEASE_MS)) running.lost(event);
  }

  function tick() {
    void look();
    if (looks++ % RENEW_EVERY === 0) keep().catch(reportUnlessAway);
  }

  /** Until the database answers. */
  function startSchedules() {
    schedules.start().catch((error: unknown) => {
      reportUnlessAway(error);
      setTimeout(() => {
        if (!stopped) startSchedules();
      }, LOOK_MS).unref();
    });
  }

  return {
    schedules,
    start() {
      paused = false;
      startSchedules();
      timer = setInterval(tick, LOOK_MS);
      tick();
    },
    routerUp(router) {
      ready.push(router);
      void look();
    },
    routerGone(router) {
      const at = ready.indexOf(router);
      if (at >= 0) ready.splice(at, 1);
    },
    due: () => void look(),
    ended(execution) {
      if (!isDue(execution.trigger_type)) return false;
      running.ended(execution);
      return true;
    },
    stats: () => ({ ...counts, running: running.size() }),
    pause() {
      paused = true;
    },
    async stop() {
      stopped = true;
      paused = true;
      await schedules.stop();
      await settling.stop(STOP_MS);
      if (timer !== null) clearInterval(timer);
    },
  };
}

function outcomeOf(fate: Exclude<Fate, { to: 'waiting' }>): EventOutcome {
  if (fate.to === 'dead') return 'dead';
  return fate.outcome === 'ok' ? 'success' : fate.outcome === 'failed' ? 'error' : 'cancelled';
}
