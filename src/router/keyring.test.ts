import { beforeEach, describe, expect, it } from 'vitest';
import type { HearthError } from '../errors.js';
import type { ApiKey } from '../store/api_keys.js';
import { hashOfKey, newKey } from '../tokens.js';
import { createKeyLookups, type FindKeys } from './key_lookups.js';
import { createKeyring, type Keyring, KNOWN_MS, REFRESH_MS, UNKNOWN_MS } from './keyring.js';
import type { Principal } from './principal.js';

const HOME = '127.0.0.1';
let now = 1_000_000;
let stored: Map<string, ApiKey>;
/** Hashes, in the order in which they were asked for. */
let queries: string[][];
let away: boolean;
let used: string[];
let keyring: Keyring;

const find: FindKeys = async (hashes) => {
  queries.push(hashes);
  if (away) throw new Error('the database is away');
  return new Map([...stored].filter(([hash]) => hashes.includes(hash)));
};

function store(change: Partial<ApiKey> = {}): string {
  const key = newKey(change.kind ?? 'api');
  stored.set(hashOfKey(key), {
    id: `id ${stored.size + 1}`,
    tenant: 'acme',
    kind: 'api',
    name: 'a key',
    prefix: key.slice(0, 12),
    scopes: ['execute:functions'],
    functions: null,
    source_ranges: null,
    expires_at: null,
    last_used_at: null,
    created_at: new Date(0),
    created_by: null,
    ...change,
  });
  return key;
}

function open() {
  const lookups = createKeyLookups((hashes) => find(hashes));
  const ring = createKeyring({ lookUp: lookups.lookUp, used: (id) => void used.push(id), now: () => now });
  return {
    ...ring,
    changed(hash: string | null) {
      lookups.changed(hash);
      ring.changed(hash);
    },
  };
}

const verdict = (key: string, address = HOME) =>
  Promise.resolve(keyring.authenticate(key, address)).then(
    ({ role, tenant }) => `${role} of ${tenant}`,
    (error: HearthError) => error.code,
  );
/** What is known without a question to the database. */
const atOnce = (key: string): Principal | null => {
  const found = keyring.authenticate(key, HOME);
  if (!(found instanceof Promise)) return found;
  found.catch(() => {});
  return null;
};
const settled = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  stored = new Map();
  queries = [];
  away = false;
  used = [];
  keyring = open();
});

describe('a key', () => {
  it('is looked up once, and then known', async () => {
    const api = store();
    const service = store({ kind: 'service', scopes: [] });
    expect(await verdict(api)).toBe('anon of acme');
    expect(await verdict(service)).toBe('service_role of acme');
    expect(atOnce(api)).toMatchObject({ role: 'anon', tenant: 'acme', key: { kind: 'api' } });
    expect(queries).toHaveLength(2);
    expect(used).toEqual(['id 1', 'id 2', 'id 1']);
  });

  it('is asked for again from 5 s on, while calls go on', async () => {
    const key = store();
    await verdict(key);
    now += REFRESH_MS - 1;
    expect(atOnce(key)).not.toBeNull();
    expect(queries).toHaveLength(1);
    now += 1;
    expect(atOnce(key)).not.toBeNull();
    expect(atOnce(key)).not.toBeNull();
    expect(queries).toHaveLength(2);
    await settled();
    now += REFRESH_MS - 1;
    expect(atOnce(key)).not.toBeNull();
    expect(queries).toHaveLength(2);
  });

  it('that was not used for 10 s is asked for before it counts', async () => {
    const key = store();
    await verdict(key);
    now += KNOWN_MS;
    stored.clear();
    expect(await verdict(key)).toBe('UNAUTHENTICATED');
  });

  it('that is gone is found out by the asking, were nobody told', async () => {
    const key = store();
    await verdict(key);
    stored.clear();
    now += REFRESH_MS;
    expect(atOnce(key)).not.toBeNull();
    await settled();
    expect(await verdict(key)).toBe('UNAUTHENTICATED');
  });

  it('is forgotten when it was changed, and when anything may have been', async () => {
    const key = store();
    for (const hash of [hashOfKey(key), null]) {
      await verdict(key);
      const before = queries.length;
      keyring.changed(hashOfKey(newKey('api')));
      expect(atOnce(key)).not.toBeNull();
      keyring.changed(hash);
      expect(await verdict(key)).toBe('anon of acme');
      expect(queries).toHaveLength(before + 1);
    }
  });

  it('that was changed while it was looked up is looked up again', async () => {
    const key = store();
    const first = verdict(key);
    keyring.changed(hashOfKey(key));
    stored.clear();
    await first;
    expect(await verdict(key)).toBe('UNAUTHENTICATED');
  });

  it('counts until it expires, however lately it was looked up', async () => {
    const key = store({ expires_at: new Date(now + 1_000) });
    expect(await verdict(key)).toBe('anon of acme');
    now += 999;
    expect(await verdict(key)).toBe('anon of acme');
    now += 1;
    expect(await verdict(key)).toBe('UNAUTHENTICATED');
    expect(queries).toHaveLength(1);
    expect(used).toHaveLength(2);
  });

  it('counts only where it may come from', async () => {
    const key = store({ source_ranges: ['192.0.2.0/24', '2001:db8::1'] });
    const from = (address: string) => verdict(key, address);
    for (const address of ['192.0.2.1', '192.0.2.255', '2001:db8::1'])
      expect(await from(address)).toBe('anon of acme');
    for (const address of ['192.0.3.1', '2001:db8::2', HOME, '', 'unknown'])
      expect(await from(address)).toBe('FORBIDDEN');
    expect(used).toHaveLength(3);
  });

  it('has the scopes that are known here, and no others', async () => {
    const key = store({ scopes: ['write:keys', 'write:everything'] });
    await verdict(key);
    expect(atOnce(key)?.key?.scopes).toEqual(['write:keys']);
  });
});

describe('a key that nobody has', () => {
  it('is asked for once in a while', async () => {
    const key = newKey('api');
    expect(await verdict(key)).toBe('UNAUTHENTICATED');
    expect(await verdict(key)).toBe('UNAUTHENTICATED');
    expect(queries).toHaveLength(1);
    now += UNKNOWN_MS;
    expect(await verdict(key)).toBe('UNAUTHENTICATED');
    expect(queries).toHaveLength(2);
  });

  it('is not asked for where it cannot be one', async () => {
    for (const text of ['hth_api_', 'hth_svc_short', `${newKey('api')}x`, newKey('api').replace(/.$/, "'")])
      expect(await verdict(text)).toBe('UNAUTHENTICATED');
    expect(queries).toEqual([]);
  });

  it('comes in floods that cost few queries, one at a time', async () => {
    let running = 0;
    let most = 0;
    const real = find;
    const lookups = createKeyLookups(async (hashes) => {
      most = Math.max(most, ++running);
      await settled();
      running--;
      return await real(hashes);
    });
    const hashes = Array.from({ length: 1_500 }, () => hashOfKey(newKey('api')));
    expect(await Promise.all(hashes.map(lookups.lookUp))).toEqual(hashes.map(() => null));
    expect(most).toBe(1);
    expect(queries.length).toBeLessThan(20);
  });

  it('is told to come again where too many wait', async () => {
    const lookups = createKeyLookups(async () => {
      await settled();
      return new Map();
    });
    const answers = await Promise.allSettled(
      Array.from({ length: 3_000 }, () => lookups.lookUp(hashOfKey(newKey('api')))),
    );
    const refused = answers.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(1_100);
    expect(refused[0]).toMatchObject({ reason: { code: 'UNAVAILABLE', retryAfter: 2 } });
  });
});

describe('without the database', () => {
  it('a key that is known counts for 10 s, and others cannot be told', async () => {
    const known = store();
    const other = store();
    await verdict(known);
    away = true;
    expect(await verdict(other)).toBe('UNAVAILABLE');
    now += REFRESH_MS;
    expect(await verdict(known)).toBe('anon of acme');
    await settled();
    now += REFRESH_MS - 1;
    expect(await verdict(known)).toBe('anon of acme');
    await settled();
    now += 1;
    expect(await verdict(known)).toBe('UNAVAILABLE');
    away = false;
    expect(await verdict(known)).toBe('anon of acme');
    expect(await verdict(other)).toBe('anon of acme');
  });
});
