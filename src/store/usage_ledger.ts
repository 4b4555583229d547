/**
 * Usage that is still to be written: counted where it happens with a few additions, and added to the database every few
 * seconds. While that is away it is kept, by function and hour. A batch that failed may have been added all the same, when
 * only the answer was lost: it is sent again as it was, under its number, before anything else.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { UsageBatch, UsageDelta, UsageFigures } from './usage.js';

/** Whose usage it is. */
export interface UsageOwner {
  tenant: string;
  function_id: string;
  function_name: string;
}

/** Where one function's calls are counted: on the busiest path. */
export interface UsageTally {
  /** @param cpuMs 0 where somebody else counts it. */
  count(egressBytes: number, cpuMs: number, cold: boolean): void;
}

export interface UsageLedger {
  tally(owner: UsageOwner): UsageTally;
  add(owner: UsageOwner, figures: Partial<UsageFigures>): void;
  /** Writes what was counted so far. @throws what the database said; it is kept. */
  flush(): Promise<void>;
  /** Writes all, trying again for 10 s at most; tells of what is lost. */
  stop(): Promise<void>;
}

export interface UsageLedgerOptions {
  /** Adds all of it or nothing, and the batch of one number once. */
  write(batch: UsageBatch): Promise<void>;
  /** Unix ms. */
  now(): number;
  onError(error: unknown): void;
  /** Called before each flush, for what is counted by the clock. */
  beforeFlush?: () => void;
  /** ms between flushes. Default 4,000. */
  intervalMs?: number;
  /** Functions' hours kept at most. Default 20,000. */
  maxRows?: number;
}

const HOUR_MS = 3_600_000;
/** Rows of one statement. */
const BATCH = 1_000;
const STOP_MS = 10_000;
const RETRY_MS = 200;

class Tally implements UsageTally {
  calls = 0;
  cpuMs = 0;
  egressBytes = 0;
  coldStarts = 0;
  private listed = false;

  constructor(
    readonly owner: UsageOwner,
    private readonly changed: Tally[],
  ) {}

  count(egressBytes: number, cpuMs: number, cold: boolean): void {
    this.calls++;
    this.egressBytes += egressBytes;
    this.cpuMs += cpuMs;
    if (cold) this.coldStarts++;
    if (this.listed) return;
    this.listed = true;
    this.changed.push(this);
  }

  take(): UsageFigures {
    const { calls, cpuMs, egressBytes, coldStarts } = this;
    this.calls = this.cpuMs = this.egressBytes = this.coldStarts = 0;
    this.listed = false;
    return { calls, cpu_ms: cpuMs, mib_seconds: 0, egress_bytes: egressBytes, cold_starts: coldStarts };
  }
}

export function createUsageLedger(options: UsageLedgerOptions): UsageLedger {
  const { write, now, onError, beforeFlush, intervalMs = 4_000, maxRows = 20_000 } = options;
  /** Tallies with something in them. */
  const changed: Tally[] = [];
  /** By function and hour, the oldest first. */
  const pending = new Map<string, UsageDelta>();
  const writer = randomUUID();
  let sequence = 0;
  /** What is being written, or failed to be. */
  let sent: UsageBatch | null = null;
  let writing: Promise<void> = Promise.resolve();
  let lost = 0;

  function add(owner: UsageOwner, figures: Partial<UsageFigures>) {
    const hour = Math.floor(now() / HOUR_MS) * HOUR_MS;
    const key = `${hour} ${owner.function_id}`;
    let delta = pending.get(key);
    if (delta === undefined) {
      if (kept() >= maxRows) loseOldest();
      const { tenant, function_id, function_name } = owner;
      delta = { tenant, function_id, function_name, hour: new Date(hour), ...NOTHING };
      pending.set(key, delta);
    }
    delta.calls += figures.calls ?? 0;
    delta.cpu_ms += figures.cpu_ms ?? 0;
    delta.mib_seconds += figures.mib_seconds ?? 0;
    delta.egress_bytes += figures.egress_bytes ?? 0;
    delta.cold_starts += figures.cold_starts ?? 0;
  }

  function kept(): number {
    return pending.size + (sent?.deltas.length ?? 0);
  }

  function loseOldest() {
    const oldest = pending.keys().next().value;
    if (oldest === undefined) return;
    pending.delete(oldest);
    lost++;
  }

  function collect() {
    beforeFlush?.();
    for (const tally of changed.splice(0)) add(tally.owner, tally.take());
    if (lost > 0)
      onError(new Error(`the usage of ${lost} functions' hours was lost: the database is away for too long`));
    lost = 0;
  }

  async function writeAll() {
    collect();
    for (;;) {
      sent ??= nextBatch();
      if (sent === null) return;
      await write(sent);
      sent = null;
    }
  }

  function nextBatch(): UsageBatch | null {
    const batch = [...pending].slice(0, BATCH);
    if (batch.length === 0) return null;
    for (const [key] of batch) pending.delete(key);
    return { writer, sequence: ++sequence, deltas: batch.map(([, delta]) => delta) };
  }

  /** One after another: what a flush leaves behind the next one takes. */
  function flush(): Promise<void> {
    const flushed = writing.then(writeAll);
    writing = flushed.catch(() => {}); // whoever asked for it hears of the failure
    return flushed;
  }

  const timer = setInterval(() => {
    flush().catch(() => {}); // kept, and tried again; the health check reports an absent database
  }, intervalMs);

  return {
    tally: (owner) => new Tally(owner, changed),
    add,
    flush,
    async stop() {
      clearInterval(timer);
      const deadline = performance.now() + STOP_MS;
      for (;;) {
        try {
          return await flush();
        } catch (error) {
          if (performance.now() < deadline) await sleep(RETRY_MS);
          else
            return onError(
              new Error(`the usage of ${kept()} functions' hours could not be written`, {
                cause: error,
              }),
            );
        }
      }
    },
  };
}

const NOTHING: UsageFigures = { calls: 0, cpu_ms: 0, mib_seconds: 0, egress_bytes: 0, cold_starts: 0 };
