/** Looks keys up in batches, one query at a time: a flood of unknown keys costs the database no more than that. */
import { HearthError } from '../errors.js';
import type { ApiKey } from '../store/api_keys.js';

export interface KeyLookups {
  /** Null: there is no such key. Rejects with UNAVAILABLE when the database is away or there is too much to look up. */
  lookUp(hash: string): Promise<ApiKey | null>;
  /** What was asked before is not the answer to who asks from now on. */
  changed(hash: string | null): void;
}

/** By SHA-256, hex; those that are not there are left out. */
export type FindKeys = (hashes: string[]) => Promise<Map<string, ApiKey>>;

const MAX_BATCH = 200;
const MAX_WAITING = 2_000;
/** ms that a query may take before those who wait for it are told to come again. */
const TIMEOUT_MS = 3_000;

interface Waiting {
  promise: Promise<ApiKey | null>;
  resolve(found: ApiKey | null): void;
  reject(error: unknown): void;
}

export function createKeyLookups(find: FindKeys): KeyLookups {
  /** Asked for, and not in a query yet. */
  const next = new Map<string, Waiting>();
  let current = new Map<string, Waiting>();
  let running = false;

  async function run() {
    running = true;
    while (next.size > 0) {
      const batch = new Map([...next].slice(0, MAX_BATCH));
      for (const hash of batch.keys()) next.delete(hash);
      current = new Map(batch);
      try {
        const found = await withinTime(find([...batch.keys()]));
        for (const [hash, { resolve }] of batch) resolve(found.get(hash) ?? null);
      } catch (error) {
        for (const { reject } of batch.values()) reject(unavailable(error));
      }
      current.clear();
    }
    running = false;
  }

  return {
    lookUp(hash) {
      const waiting = current.get(hash) ?? next.get(hash);
      if (waiting !== undefined) return waiting.promise;
      if (next.size >= MAX_WAITING) return Promise.reject(unavailable());
      const { promise, resolve, reject } = withResolvers();
      next.set(hash, { promise, resolve, reject });
      if (!running) void run();
      return promise;
    },
    changed(hash) {
      if (hash === null) current.clear();
      else current.delete(hash);
    },
  };
}

function withResolvers(): Waiting {
  let resolve: Waiting['resolve'] = () => {};
  let reject: Waiting['reject'] = () => {};
  const promise = new Promise<ApiKey | null>((onFound, onError) => {
    resolve = onFound;
    reject = onError;
  });
  return { promise, resolve, reject };
}

async function withinTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the database takes too long')), TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function unavailable(cause?: unknown): HearthError {
  return new HearthError('UNAVAILABLE', 'The key cannot be looked up at the moment. Try again shortly.', {
    retryAfter: 2,
    cause,
  });
}
