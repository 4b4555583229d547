import { describe, expect, it } from 'vitest';
import { functionMeta } from '../../test/support/functions.js';
import type { Execution } from '../store/types.js';
import { createRedaction } from './redaction.js';
import { createNodeSecrets } from './secrets.js';

/** A store that counts what it is asked, and may be away. */
function setUp(stored: Record<string, Record<string, string>>, options: { maxBytes?: number } = {}) {
  const asked: string[] = [];
  const state = { away: false };
  const secrets = createNodeSecrets({
    async values(tenant, functionId) {
      const key = functionId ?? tenant;
      asked.push(key);
      if (state.away) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
      return stored[key] ?? {};
    },
    ...options,
  });
  return { secrets, asked, state };
}

const fn = (id: string, secrets_revision: number) => functionMeta({ id, tenant: 'acme', secrets_revision });

describe("a node's secrets", () => {
  it('are asked for once, for all functions of the tenant and all processes of a function', async () => {
    const { secrets, asked } = setUp({ acme: { A: 'shared', B: 'shared' }, f: { B: 'own' } });
    const [first, second] = await Promise.all([secrets.of(fn('f', 2), 2), secrets.of(fn('f', 2), 2)]);
    expect(first?.env).toEqual({ A: 'shared', B: 'own' });
    expect(second).toBe(first);
    expect((await secrets.of(fn('g', 1), 2)).env).toEqual({ A: 'shared', B: 'shared' });
    expect(asked).toEqual(['acme', 'f']);
  });

  it('cost nothing where there never were any, and are not given without allow_env', async () => {
    const { secrets, asked } = setUp({ acme: { A: 'shared' } });
    expect(await secrets.of(fn('f', 1), 1)).toEqual({ env: {}, redact: null });
    const without = functionMeta({ tenant: 'acme', secrets_revision: 5, allow_env: false });
    expect(await secrets.of(without, 5)).toEqual({ env: {}, redact: null });
    expect(asked).toEqual([]);
  });

  it('are asked for again when they have changed, and where they were forgotten', async () => {
    const stored: Record<string, Record<string, string>> = { acme: {}, f: { A: 'old' } };
    const { secrets, asked } = setUp(stored);
    await secrets.of(fn('f', 2), 2);
    stored.f = { A: 'new' };
    expect((await secrets.of(fn('f', 3), 2)).env).toEqual({ A: 'new' });
    expect(asked).toEqual(['acme', 'f', 'f']);
    secrets.forgetFunction('f');
    secrets.forgetTenant('acme');
    await secrets.of(fn('f', 3), 2);
    expect(asked).toEqual(['acme', 'f', 'f', 'acme', 'f']);
  });

  it('that are not known here are unavailable while the database is away, and known ones are not', async () => {
    const { secrets, state } = setUp({ acme: { A: 'shared' }, f: { B: 'own' } });
    await secrets.of(fn('g', 1), 2);
    state.away = true;
    expect((await secrets.of(fn('g', 1), 2)).env).toEqual({ A: 'shared' });
    await expect(secrets.of(fn('f', 2), 2)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfter: 2 });
    state.away = false;
    expect((await secrets.of(fn('f', 2), 2)).env).toEqual({ A: 'shared', B: 'own' });
  });

  it('are given up for others when there are many', async () => {
    const large = { A: 'x'.repeat(10_000) };
    const { secrets, asked } = setUp({ f: large, g: large, h: large }, { maxBytes: 50_000 });
    for (const id of ['f', 'g', 'h', 'h', 'g', 'f']) await secrets.of(fn(id, 2), 1);
    expect(asked).toEqual(['f', 'g', 'h', 'f']);
  });
});

describe('an execution on its way to its row', () => {
  const execution = {
    result: 'r secret-1',
    logs: null,
    error_message: null,
    error_stack: 's secret-1',
  } as Execution;
  const row = (secretsOf: number | null) => ({ execution, secretsOf, complete: true });

  it('is redacted with the secrets of its process, for a while after its end too, and then loses its texts', () => {
    let time = 0;
    const redaction = createRedaction(() => time);
    redaction.given(1, (text) => text.replace('secret-1', 'X'));
    expect(redaction.of(row(null))).toBe(execution);
    const redacted = { result: 'r X', logs: null, error_message: null, error_stack: 's X' };
    expect(redaction.of(row(1))).toEqual(redacted);
    redaction.ended(1);
    time = 14_000;
    redaction.tick();
    expect(redaction.of(row(1))).toEqual(redacted);
    time = 16_000;
    redaction.tick();
    const lost = { result: '[redacted]', logs: null, error_message: null, error_stack: '[redacted]' };
    expect(redaction.of(row(1))).toEqual(lost);
  });
});
