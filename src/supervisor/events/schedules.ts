/** The schedules of this node's functions: their ticks become rows at their times, whichever node is first. */
import { setImmediate } from 'node:timers/promises';
import type { Schedules as ScheduleStore, Tick } from '../../store/schedules.js';
import type { FunctionMeta, Tenant } from '../../store/types.js';
import type { FunctionChange } from '../function_sync.js';
import type { TenantChange } from '../tenant_sync.js';
import { createTicks, type DueTick } from './ticks.js';

export interface Schedules {
  applyFunctions(change: FunctionChange): void;
  /** Before the functions of the same change. */
  applyTenants(change: TenantChange): void;
  /** What there is has been applied: ticks are made from now on, a missed one of each function at once. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface SchedulesOptions {
  store: ScheduleStore;
  /** All that are known here. */
  functions(): Iterable<FunctionMeta>;
  find(functionId: string): FunctionMeta | undefined;
  tenant(slug: string): Tenant | undefined;
  /** There are new rows. */
  onMade(): void;
  /** A tick was left out, because the one before it is not over. */
  onSkipped(fn: FunctionMeta): void;
  newId(now: number): string;
  /** Unix ms. */
  now(): number;
  onError(error: unknown): void;
}

/** ms that a timer may run: the clock may be set meanwhile. */
const LONGEST_MS = 5_000;
/** ms until what could not be made is tried again. */
const RETRY_MS = 1_000;
/** Rows of one statement, and schedules that are looked at in one go. */
const BATCH = 500;

export function createSchedules(options: SchedulesOptions): Schedules {
  const { store, now, onError } = options;
  const ticks = createTicks();
  /** Null until it is started; then what was heard of meanwhile is known. */
  let timer: NodeJS.Timeout | null = null;
  let started = false;
  let stopped = false;
  let making: Promise<void> = Promise.resolve();
  /** ms that this node's clock is ahead of the database's, as far as is known: ticks come by that one. */
  let ahead = 0;

  /** Unix ms by the database's clock. */
  const clock = () => now() - ahead;

  /** The database answered that, to what was asked at `asked` by the clock of this node. */
  function compare(database: Date, asked: number) {
    const time = database.getTime();
    ahead = Math.max(asked - time, Math.min(now() - time, ahead));
  }

  /** What makes it count: enabled, of an active tenant. */
  function scheduleOf(fn: FunctionMeta): string | null {
    return fn.enabled && options.tenant(fn.tenant)?.status === 'active' ? fn.cron_schedule : null;
  }

  /** Ticks of the functions count from `since` on, where they have not counted before. */
  function look(functions: Iterable<FunctionMeta>, sinceOf: (fn: FunctionMeta) => Date) {
    const begun: { functionId: string; tenant: string; schedule: string; since: Date }[] = [];
    for (const fn of functions) {
      const schedule = scheduleOf(fn);
      if (schedule === null) ticks.remove(fn.id);
      else if (ticks.scheduleOf(fn.id) !== schedule) {
        const since = sinceOf(fn);
        ticks.set(fn.id, schedule, clock());
        begun.push({ functionId: fn.id, tenant: fn.tenant, schedule, since });
      }
    }
    begin(begun);
    arm();
  }

  function begin(rows: Parameters<ScheduleStore['begin']>[0]) {
    for (let from = 0; from < rows.length; from += BATCH)
      store.begin(rows.slice(from, from + BATCH)).catch(onError);
  }

  function arm() {
    if (!started || stopped) return;
    if (timer !== null) clearTimeout(timer);
    const next = ticks.next();
    if (next === null) return;
    timer = setTimeout(run, Math.min(LONGEST_MS, Math.max(0, next - clock())));
  }

  function run() {
    // The others follow at once, and what else there is to do comes between them.
    const due = ticks.take(clock(), BATCH);
    arm();
    if (due.length > 0) making = making.then(() => make(due));
  }

  async function make(due: DueTick[]) {
    try {
      const asked = now();
      const at = clock();
      const given = due.map((tick): Tick => {
        const { functionId, schedule } = tick;
        return { functionId, schedule, at: new Date(tick.at), id: options.newId(at), now: new Date(at) };
      });
      const { made, skipped, early, now: database } = await store.tick(given);
      compare(database, asked);
      again(due, new Set(early));
      if (made.length > 0) options.onMade();
      for (const id of skipped) {
        const fn = options.find(id);
        if (fn !== undefined) options.onSkipped(fn);
      }
    } catch {
      // That the database is away the health check reports. They come again, or others after them.
      setTimeout(() => {
        for (const tick of due) ticks.putBack(tick);
        arm();
      }, RETRY_MS).unref();
    }
  }

  /** The clock of this node was ahead: they come at their times. */
  function again(due: DueTick[], early: ReadonlySet<string>) {
    if (early.size === 0) return;
    for (const { functionId, schedule } of due)
      if (early.has(functionId) && ticks.scheduleOf(functionId) === schedule)
        ticks.set(functionId, schedule, clock());
    arm();
  }

  return {
    applyFunctions({ changed, removed }) {
      for (const id of removed) ticks.remove(id);
      if (started) look(changed, (fn) => fn.updated_at);
    },
    applyTenants({ changed, removed }) {
      if (!started) return;
      const since = new Map(changed.map(({ slug, updated_at }) => [slug, updated_at]));
      const gone = new Set(removed);
      const theirs = [...options.functions()].filter(({ tenant }) => since.has(tenant) || gone.has(tenant));
      look(theirs, (fn) => since.get(fn.tenant) ?? fn.updated_at);
    },
    async start() {
      const asked = now();
      const all = await store.all();
      compare(all.now, asked);
      const stored = new Map(all.schedules.map((row) => [row.function_id, row]));
      const begun = [];
      let looked = 0;
      for (const fn of [...options.functions()]) {
        const schedule = scheduleOf(fn);
        if (schedule === null) continue;
        if (++looked % BATCH === 0) await setImmediate();
        // Of those that change meanwhile what is below knows.
        if (options.find(fn.id) !== fn) continue;
        const known = stored.get(fn.id);
        const goesOn = known !== undefined && known.schedule === schedule;
        const since = goesOn ? known.last_tick : fn.updated_at;
        ticks.set(fn.id, schedule, since.getTime());
        if (!goesOn) begun.push({ functionId: fn.id, tenant: fn.tenant, schedule, since });
      }
      started = true;
      begin(begun);
      look(options.functions(), (fn) => fn.updated_at);
    },
    async stop() {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
      await making;
    },
  };
}
