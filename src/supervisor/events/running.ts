/** The due work that this node has begun: given to routers, followed to its end, and settled. */
import { messageOf } from '../../errors.js';
import type { ClaimedEvent, EventRequest } from '../../store/events.js';
import type { SettledEvent, SettledExecution } from '../../store/events_settle.js';
import type { Execution } from '../../store/types.js';
import type { DueCall, DueOutcome, ExecutionRow } from '../protocol.js';
import { type AttemptEnd, type Fate, fateOf, isTooOld, MAX_ATTEMPTS } from './fate.js';
import type { Settling } from './settling.js';

export interface Running {
  begin(event: ClaimedEvent): void;
  /** Another node had it, and is gone. */
  lost(event: ClaimedEvent): void;
  /** An execution is as complete as it gets. */
  ended(execution: Execution): void;
  /** It is written. */
  settled(event: SettledEvent): void;
  ids(): string[];
  size(): number;
  /** By tenant. */
  counts(): Map<string, number>;
  /** Those of a tenant whose end is not known yet. */
  unended(tenant: string): number;
}

export interface RunningOptions {
  /** Rejects when the router is gone, or does not answer in time. */
  run(call: DueCall): Promise<DueOutcome>;
  /** What a router tells of an execution is to be joined with its lines; `ended` is called with it. */
  record(row: ExecutionRow): void;
  settling: Pick<Settling, 'add'>;
  onFate(event: ClaimedEvent, fate: Fate, end: AttemptEnd | null): void;
  /** The node's own address, for ticks. */
  url: string;
  random(): number;
}

/** One attempt. The event may be claimed again, by this very node, before an attempt is heard of that was taken for lost. */
interface Attempt {
  event: ClaimedEvent;
  /** When it was claimed, ms of performance.now(). */
  since: number;
  /** What it has come to; null: not yet. */
  settled: SettledEvent | null;
}

const DELETED = 'The function was deleted before its time came.';
const MAX_MESSAGE = 1_000;

export function createRunning(options: RunningOptions): Running {
  const { settling, random } = options;
  const running = new Map<string, Attempt>();

  function add(event: ClaimedEvent): Attempt {
    // Its request is with the router from then on.
    const attempt = { event: { ...event, request: null }, since: performance.now(), settled: null };
    running.set(event.id, attempt);
    return attempt;
  }

  /** Once for each attempt, and for none that another has followed. */
  function settle(attempt: Attempt, fate: Fate, end: AttemptEnd | null, execution: SettledExecution) {
    const { event } = attempt;
    const { id, executedAt, attempts } = event;
    if (attempt.settled !== null || running.get(id) !== attempt) return;
    const waits = fate.to === 'waiting' ? fate : { afterMs: 0, counts: true };
    attempt.settled = {
      id,
      executedAt,
      attempts,
      to: fate.to,
      afterMs: waits.afterMs,
      counts: waits.counts,
      execution,
    };
    settling.add(attempt.settled);
    options.onFate(event, fate, end);
  }

  function over(attempt: Attempt, end: AttemptEnd, execution: Execution | null) {
    const { event } = attempt;
    const { trigger, attempts } = event;
    const fate = fateOf({ trigger, attempts, ageMs: ageOf(attempt) }, end, random());
    settle(attempt, fate, end, settledExecution(event, fate, end, execution));
  }

  function cancel(attempt: Attempt, message: string) {
    settle(attempt, { to: 'over', outcome: 'cancelled' }, null, nothing('cancelled', message));
  }

  async function run(attempt: Attempt, given: EventRequest | null) {
    const { event } = attempt;
    if (event.fn === null) return cancel(attempt, DELETED);
    const { trigger } = event;
    // Its tenant was suspended meanwhile, or no node had room.
    if (trigger === 'cron' && isTooOld({ trigger, ageMs: ageOf(attempt) }))
      return cancel(attempt, 'It could not be run in time.');
    const request = given ?? tickRequest(event, options.url);
    if (request === null) {
      const message = 'Its request was sealed with a secret key that is not known any more.';
      return settle(attempt, { to: 'dead' }, null, nothing('error', message));
    }
    const { id, functionId, attempts, requestId } = event;
    let outcome: DueOutcome;
    try {
      outcome = await options.run({ id, functionId, trigger, attempt: attempts, requestId, request });
    } catch (error) {
      return over(attempt, { kind: 'lost', message: messageOf(error) }, null);
    }
    if ('row' in outcome) return options.record(outcome.row);
    over(attempt, { kind: 'refused', ...outcome.refused }, null);
  }

  return {
    begin(event) {
      void run(add(event), event.request);
    },
    lost(event) {
      const attempt = add(event);
      if (event.fn === null) return cancel(attempt, DELETED);
      over(attempt, { kind: 'lost', message: 'the node that ran it is gone' }, null);
    },
    ended(execution) {
      const attempt = running.get(execution.id);
      // It may have been lost, as far as is known here, and have come after all.
      if (attempt === undefined || attempt.event.functionId !== execution.function_id) return;
      over(attempt, { kind: 'ran', status: execution.status, statusCode: execution.status_code }, execution);
    },
    settled(event) {
      if (running.get(event.id)?.settled === event) running.delete(event.id);
    },
    ids: () => [...running.keys()],
    size: () => running.size,
    counts() {
      const counts = new Map<string, number>();
      for (const { event } of running.values()) counts.set(event.tenant, (counts.get(event.tenant) ?? 0) + 1);
      return counts;
    },
    unended(tenant) {
      let count = 0;
      for (const { event, settled } of running.values())
        if (event.tenant === tenant && settled === null) count++;
      return count;
    },
  };
}

/** ms since it was taken, by the database's clock. */
function ageOf({ event, since }: Attempt): number {
  return event.ageMs + (performance.now() - since);
}

/** What the execution of it says from now on. */
function settledExecution(
  event: ClaimedEvent,
  fate: Fate,
  end: AttemptEnd,
  execution: Execution | null,
): SettledExecution {
  const message = end.kind === 'ran' ? (execution?.error_message ?? null) : sentenceOf(end);
  const last: SettledExecution =
    execution === null
      ? nothing('error', message)
      : {
          status: execution.status,
          version: execution.version,
          status_code: execution.status_code,
          duration_ms: execution.duration_ms,
          cpu_ms: execution.cpu_ms,
          cold_start: execution.cold_start,
          result: execution.result,
          logs: execution.logs,
          error_message: message,
          error_stack: execution.error_stack,
        };
  switch (fate.to) {
    case 'waiting':
      return {
        ...last,
        status: 'pending',
        logs:
          fate.counts && event.fn?.keepsLogs === true
            ? withNote(last.logs, event.attempts, fate.afterMs)
            : last.logs,
      };
    case 'over':
      return fate.outcome === 'cancelled' ? { ...last, status: 'cancelled' } : last;
    case 'dead':
      return last;
  }
}

function sentenceOf(end: AttemptEnd & { kind: 'refused' | 'lost' }): string {
  const message = end.message.slice(0, MAX_MESSAGE);
  return end.kind === 'lost' ? `How it ended is not known: ${message}.` : message;
}

/** For whoever reads the log: where one attempt ends, and the next begins. */
function withNote(logs: string | null, attempt: number, afterMs: number): string {
  const note = `[hearth] attempt ${attempt} of ${MAX_ATTEMPTS} failed; the next one in ${Math.ceil(afterMs / 1000)} s`;
  return logs === null ? note : `${logs}\n${note}`;
}

function nothing(status: SettledExecution['status'], message: string | null): SettledExecution {
  return {
    status,
    version: null,
    status_code: null,
    duration_ms: 0,
    cpu_ms: null,
    cold_start: false,
    result: null,
    logs: null,
    error_message: message,
    error_stack: null,
  };
}

/** A tick calls its function as anyone may who has an anon key. */
function tickRequest({ tenant, tick, fn }: ClaimedEvent, url: string): EventRequest | null {
  if (tick === null || fn === null) return null;
  const body = Buffer.from(JSON.stringify({ schedule: tick.schedule, scheduled_at: tick.at.toISOString() }));
  const { host, hostname } = new URL(url);
  return {
    method: 'POST',
    path: `${tenant === 'default' ? '' : `/t/${tenant}`}/functions/v1/${fn.name}`,
    headers: ['host', host, 'content-type', 'application/json', 'content-length', String(body.length)],
    body,
    caller: { role: 'anon' },
    address: hostname.replace(/^\[|\]$/g, ''),
  };
}
