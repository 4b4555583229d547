/** A function's code and V8's cache of it, for a process that is to run it: from this node, else from the database. */
import { setTimeout as sleep } from 'node:timers/promises';
import { HearthError } from '../errors.js';
import type { CodeCache } from '../pool/code_cache.js';
import { MIN_CACHED_BYTES, type Specification } from '../pool/process.js';
import type { CodeCacheKey } from '../store/code_caches.js';
import { isDatabaseAway } from '../store/database_errors.js';
import type { FunctionMeta } from '../store/types.js';

export interface FunctionCodeOptions {
  code: CodeCache;
  engine: string;
  /** From the database. */
  loadBundle(hash: string): Promise<string | null>;
  loadCache(key: CodeCacheKey): Promise<Buffer | null>;
  storeCache(key: CodeCacheKey, bytes: Buffer): Promise<void>;
  onError(error: unknown): void;
}

export interface FunctionCode {
  of(fn: FunctionMeta): Promise<Pick<Specification, 'code' | 'v8'>>;
  /** A process of the function handed out V8's cache: from now on its others get it, on every node. */
  onCodeCache(fn: FunctionMeta, bytes: Buffer): Promise<void>;
}

/** ms that a cold start waits for V8's cache: compiling takes less. */
const PATIENCE_MS = 250;

export function createFunctionCode(options: FunctionCodeOptions): FunctionCode {
  const { code: cache, engine } = options;

  return {
    async of(fn) {
      const code = await cache.get(fn.hash, () => options.loadBundle(fn.hash));
      if (code.length < MIN_CACHED_BYTES) return { code, v8: null };
      const key = { functionId: fn.id, hash: fn.hash, engine };
      const found = cache
        .v8(fn.id, fn.hash, () => options.loadCache(key))
        .catch((error: unknown) => {
          report(error);
          return null;
        });
      return { code, v8: await Promise.race([found, sleep(PATIENCE_MS, null, { ref: false })]) };
    },
    async onCodeCache(fn, bytes) {
      try {
        await cache.putV8(fn.id, fn.hash, bytes);
        await options.storeCache({ functionId: fn.id, hash: fn.hash, engine }, bytes);
      } catch (error) {
        report(error);
      }
    },
  };

  function report(error: unknown) {
    // The health check reports an absent database.
    const away = isDatabaseAway(error) || (error instanceof HearthError && isDatabaseAway(error.cause));
    if (!away) options.onError(error);
  }
}
