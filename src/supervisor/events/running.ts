/** The due work that this node has begun: given to routers, followed to its end, and settled. */
import { messageOf } from '../../errors.js';
import type { ClaimedEvent, EventRequest } from '../../store/events.js';
import type { SettledExecution } from '../../store/events_settle.js';
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
  settled(id: string): void;
  ids(): string[];
  size(): number;
  /** By tenant. */
  counts(): Map<string, number>;
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
  /** Unix ms. */
  now(): number;
  random(): number;
}

const DELETED = 'The function was deleted before its time came.';
const MAX_MESSAGE = 1_000;

export function createRunning(options: RunningOptions): Running {
  const { settling, now, random } = options;
  const running = new Map<string, ClaimedEvent>();

  function settle(event: ClaimedEvent, fate: Fate, end: AttemptEnd | null, execution: SettledExecution) {
    const { id, executedAt, attempts } = event;
    const waits = fate.to === 'waiting' ? fate : { afterMs: 0, counts: true };
    settling.add({
      id,
      executedAt,
      attempts,
      to: fate.to,
      afterMs: waits.afterMs,
      counts: waits.counts,
      execution,
    });
    options.onFate(event, fate, end);
  }

  function over(event: ClaimedEvent, end: AttemptEnd, execution: Execution | null) {
    const { trigger, attempts, executedAt } = event;
    const fate = fateOf({ trigger, attempts, ageMs: now() - executedAt.getTime() }, end, random());
    settle(event, fate, end, settledExecution(event, fate, end, execution));
  }

  function cancel(event: ClaimedEvent, message: string) {
    settle(event, { to: 'over', outcome: 'cancelled' }, null, nothing('cancelled', message));
  }

  async function run(event: ClaimedEvent) {
    if (event.fn === null) return cancel(event, DELETED);
    const { trigger, executedAt } = event;
    // Its tenant was suspended meanwhile, or no node had room.
    if (trigger === 'cron' && isTooOld({ trigger, ageMs: now() - executedAt.getTime() }))
      return cancel(event, 'It could not be run in time.');
    const request = event.request ?? tickRequest(event, options.url);
    if (request === null) {
      const message = 'Its request was sealed with a secret key that is not known any more.';
      return settle(event, { to: 'dead' }, null, nothing('error', message));
    }
    const { id, functionId, attempts, requestId } = event;
    let outcome: DueOutcome;
    try {
      outcome = await options.run({ id, functionId, trigger, attempt: attempts, requestId, request });
    } catch (error) {
      return over(event, { kind: 'lost', message: messageOf(error) }, null);
    }
    if ('row' in outcome) return options.record(outcome.row);
    over(event, { kind: 'refused', ...outcome.refused }, null);
  }

  return {
    begin(event) {
      // Its request is with the router from then on.
      running.set(event.id, { ...event, request: null });
      void run(event);
    },
    lost(event) {
      running.set(event.id, event);
      if (event.fn === null) return cancel(event, DELETED);
      over(event, { kind: 'lost', message: 'the node that ran it is gone' }, null);
    },
    ended(execution) {
      const event = running.get(execution.id);
      // It may have been lost, as far as is known here, and have come after all.
      if (event === undefined || event.functionId !== execution.function_id) return;
      over(event, { kind: 'ran', status: execution.status, statusCode: execution.status_code }, execution);
    },
    settled: (id) => void running.delete(id),
    ids: () => [...running.keys()],
    size: () => running.size,
    counts() {
      const counts = new Map<string, number>();
      for (const { tenant } of running.values()) counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
      return counts;
    },
  };
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
