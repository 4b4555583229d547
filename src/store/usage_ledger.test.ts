import { describe, expect, it } from 'vitest';
import type { UsageBatch, UsageDelta } from './usage.js';
import { createUsageLedger } from './usage_ledger.js';

const HOUR = 3_600_000;
const owner = { tenant: 'acme', function_id: 'f', function_name: 'hello' };

function ledgerOf(given: { maxRows?: number } = {}) {
  const sent: UsageBatch[] = [];
  const written: (readonly UsageDelta[])[] = [];
  const errors: unknown[] = [];
  const state = { now: 10 * HOUR, away: false };
  const ledger = createUsageLedger({
    async write(batch) {
      sent.push(structuredClone(batch));
      if (state.away) throw new Error('away');
      written.push(batch.deltas);
    },
    now: () => state.now,
    onError: (error) => errors.push(error),
    intervalMs: HOUR,
    ...given,
  });
  return { ledger, sent, written, errors, state };
}

describe('a usage ledger', () => {
  it('adds up what several tallies of one function count, and writes it once', async () => {
    const { ledger, written } = ledgerOf();
    const [before, after] = [ledger.tally(owner), ledger.tally(owner)];
    before.count(100, 1.5, true);
    before.count(10, 0.5, false);
    after.count(1, 0, false);
    ledger.add(owner, { mib_seconds: 64 });
    await ledger.flush();
    await ledger.flush();
    expect(written).toEqual([
      [
        {
          ...owner,
          hour: new Date(10 * HOUR),
          calls: 3,
          cpu_ms: 2,
          mib_seconds: 64,
          egress_bytes: 111,
          cold_starts: 1,
        },
      ],
    ]);
    before.count(1, 0, false);
    await ledger.stop();
    expect(written[1]).toMatchObject([{ calls: 1 }]);
  });

  it('keeps what could not be written in the hour that it belongs to', async () => {
    const { ledger, written, state } = ledgerOf();
    const tally = ledger.tally(owner);
    state.away = true;
    for (const calls of [2, 1]) {
      for (let call = 0; call < calls; call++) tally.count(0, 0, false);
      await expect(ledger.flush()).rejects.toThrow('away');
      state.now += HOUR;
    }
    state.away = false;
    await ledger.stop();
    const hours = written.flat().map(({ hour, calls }) => [hour.getTime() / HOUR, calls]);
    expect(hours.sort()).toEqual([
      [10, 2],
      [11, 1],
    ]);
  });

  it('sends again as it was, and before anything else, what may have been added', async () => {
    const { ledger, sent, state } = ledgerOf();
    const tally = ledger.tally(owner);
    tally.count(10, 1, true);
    state.away = true;
    await expect(ledger.flush()).rejects.toThrow('away');
    tally.count(20, 2, false);
    await expect(ledger.flush()).rejects.toThrow('away');
    state.away = false;
    tally.count(30, 3, false);
    await ledger.stop();
    expect(sent.map(({ sequence, deltas }) => [sequence, deltas.map(({ calls }) => calls)])).toEqual([
      [1, [1]],
      [1, [1]],
      [1, [1]],
      [2, [2]],
    ]);
    expect(sent[2]).toEqual(sent[0]);
  });

  it('is bounded: the oldest goes first, and that is said', async () => {
    const { ledger, written, errors, state } = ledgerOf({ maxRows: 2 });
    state.away = true;
    for (const id of ['a', 'b', 'c']) ledger.add({ ...owner, function_id: id }, { calls: 1 });
    await expect(ledger.flush()).rejects.toThrow('away');
    expect(String(errors[0])).toMatch(/usage of 1 functions' hours was lost/);
    state.away = false;
    await ledger.stop();
    expect(written.flat().map(({ function_id }) => function_id)).toEqual(['b', 'c']);
  });
});
