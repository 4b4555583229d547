/**
 * API and service keys as this router knows them: looked up by their hash in the database, remembered for some seconds, and
 * looked up again in the background while they are in use, so that no call waits for that.
 */
import type { BlockList } from 'node:net';
import { HearthError } from '../errors.js';
import type { ApiKey } from '../store/api_keys.js';
import { hashOfKey, isKey } from '../tokens.js';
import { addressList, inList } from './client_address.js';
import { isScope, type Principal, type PrincipalKey } from './principal.js';

export interface Keyring {
  /**
   * Synchronous for a key that is known. Rejects with UNAUTHENTICATED for one that is not, or has expired; with FORBIDDEN
   * for one that may not come from there; with UNAVAILABLE where the database is needed and away.
   *
   * @param address the client's.
   */
  authenticate(key: string, address: string): Principal | Promise<Principal>;
  /** A key was changed or removed: its SHA-256, hex; null: any may have been. */
  changed(hash: string | null): void;
}

export interface KeyringOptions {
  /** Null: there is no such key. Rejects with UNAVAILABLE. */
  lookUp(hash: string): Promise<ApiKey | null>;
  /** A key was used. */
  used(id: string, now: number): void;
  /** Unix ms. */
  now(): number;
}

/** ms that a verdict counts for; and after which it is asked for again. */
export const KNOWN_MS = 10_000;
export const REFRESH_MS = 5_000;
/** ms before the next try where asking again failed. */
const RETRY_MS = 1_000;
/** ms that an unknown key is not asked for again. */
export const UNKNOWN_MS = 2_000;
const MAX_KNOWN = 10_000;
const MAX_UNKNOWN = 1_000;

interface Known {
  hash: string;
  principal: Principal & { key: PrincipalKey };
  sources: BlockList | null;
  readAt: number;
  refreshAt: number;
}

export function createKeyring({ lookUp, used, now }: KeyringOptions): Keyring {
  const known = new Map<string, Known>();
  const texts = new Map<string, string>(); // by hash
  const unknown = new Map<string, number>();
  /** Goes up with each change: what was read before one is not kept. */
  let changes = 0;

  async function read(text: string): Promise<Known | null> {
    const hash = hashOfKey(text);
    const before = changes;
    const row = await lookUp(hash);
    const time = now();
    if (row === null) {
      forget(hash);
      keep(unknown, text, time + UNKNOWN_MS, MAX_UNKNOWN);
      return null;
    }
    const entry = toKnown(hash, row, time);
    if (before === changes) {
      if (known.size >= MAX_KNOWN && !known.has(text)) {
        const [oldest] = known.values();
        if (oldest !== undefined) forget(oldest.hash);
      }
      known.set(text, entry);
      texts.set(hash, text);
    }
    return entry;
  }

  async function ask(text: string, address: string): Promise<Principal> {
    const entry = await read(text);
    if (entry === null) throw unknownKey();
    return await admit(entry, address, now());
  }

  function admit(entry: Known, address: string, time: number): Principal | Promise<Principal> {
    const { key } = entry.principal;
    if (key.expiresAt !== null && key.expiresAt <= time)
      return Promise.reject(new HearthError('UNAUTHENTICATED', 'The key has expired.'));
    if (entry.sources !== null && !inList(entry.sources, address))
      return Promise.reject(new HearthError('FORBIDDEN', 'The key may not be used from this address.'));
    used(key.id, time);
    return entry.principal;
  }

  function forget(hash: string) {
    const text = texts.get(hash);
    if (text === undefined) return;
    texts.delete(hash);
    known.delete(text);
  }

  return {
    authenticate(text, address) {
      const time = now();
      const entry = known.get(text);
      const age = entry === undefined ? 0 : time - entry.readAt;
      if (entry !== undefined && age >= 0 && age < KNOWN_MS) {
        if (time >= entry.refreshAt) {
          entry.refreshAt = time + RETRY_MS;
          read(text).catch(() => {}); // what is known counts until its time is over
        }
        return admit(entry, address, time);
      }
      if (!isKey(text) || (unknown.get(text) ?? 0) > time) return Promise.reject(unknownKey());
      return ask(text, address);
    },
    changed(hash) {
      changes++;
      if (hash !== null) return forget(hash);
      known.clear();
      texts.clear();
      unknown.clear();
    },
  };
}

function toKnown(hash: string, row: ApiKey, time: number): Known {
  const { id, kind, tenant, source_ranges } = row;
  const key: PrincipalKey = {
    id,
    kind,
    scopes: row.scopes.filter(isScope),
    functions: row.functions,
    sourceRanges: source_ranges,
    expiresAt: row.expires_at?.getTime() ?? null,
  };
  return {
    hash,
    principal: { role: kind === 'service' ? 'service_role' : 'anon', tenant, key },
    sources: source_ranges === null ? null : addressList(source_ranges),
    readAt: time,
    refreshAt: time + REFRESH_MS,
  };
}

function keep<V>(map: Map<string, V>, key: string, value: V, max: number) {
  if (map.size >= max && !map.has(key)) map.delete(map.keys().next().value ?? '');
  map.set(key, value);
}

function unknownKey(): HearthError {
  return new HearthError('UNAUTHENTICATED', 'The key is not known.');
}
