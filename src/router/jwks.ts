/**
 * The public keys of those who sign tenants' tokens (RFC 7517), fetched when they are needed and kept. Verifications share
 * one fetch; no fetch delays who does not need its keys.
 */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JWKSCacheInput,
  type JWTVerifyGetKey,
  jwksCache,
} from 'jose';
import { HearthError, messageOf } from '../errors.js';

/** ms that an answer may take, its body included. */
const TIMEOUT_MS = 3_000;
const MAX_BYTES = 64 * 1024;
/** ms after which keys are fetched again, in the background. */
export const REFRESH_MS = 10 * 60_000;
/** ms after which that is waited for: keys that were not used for long may have been withdrawn long since. */
export const WAIT_MS = 20 * 60_000;
/** ms that keys count while nothing newer can be had. */
export const LAST_RESORT_MS = 60 * 60_000;
/** ms between two fetches for the sake of keys that are not known. */
export const COOL_DOWN_MS = 30_000;
/** ms before the next try, after one that failed, where there are no keys that count. */
export const RETRY_MS = 5_000;
/** Addresses whose keys are kept. */
const MAX_SETS = 1_000;

export interface JwksSets {
  /**
   * The keys at an address, for jose: throws JWKSNoMatchingKey or JWKSMultipleMatchingKeys, and HearthError UNAVAILABLE
   * where the keys cannot be had, for which the token is not to blame.
   */
  at(url: string): JWTVerifyGetKey;
}

/** @param onError told of each fetch that fails; there are few (see above). Times are Date.now()'s, as jose's are. */
export function createJwksSets(onError: (error: unknown) => void): JwksSets {
  const sets = new Map<string, JWTVerifyGetKey>();
  return {
    at(url) {
      const set = sets.get(url) ?? createSet(url, onError);
      sets.delete(url);
      sets.set(url, set); // the last one used is the last one to go
      if (sets.size > MAX_SETS) sets.delete(sets.keys().next().value ?? '');
      return set;
    },
  };
}

function createSet(url: string, onError: (error: unknown) => void): JWTVerifyGetKey {
  const cache = emptyCache();
  const fetchedAt = () => ('uat' in cache ? cache.uat : null);
  let attempt = Number.NEGATIVE_INFINITY;

  function retryAt(): number {
    const at = fetchedAt();
    const failed = at === null || at < attempt;
    return failed ? attempt + (remote.fresh ? COOL_DOWN_MS : RETRY_MS) : 0;
  }

  const remote = createRemoteJWKSet(new URL(url), {
    timeoutDuration: TIMEOUT_MS,
    cooldownDuration: COOL_DOWN_MS,
    cacheMaxAge: LAST_RESORT_MS,
    [jwksCache]: cache,
    async [customFetch](address, init) {
      if (Date.now() < retryAt()) throw new Error('the last try failed');
      attempt = Date.now();
      try {
        return await fetchBounded(address, init);
      } catch (error) {
        onError(
          new Error(`the JWKS at ${new URL(url).origin} cannot be fetched: ${reasonOf(error)}`, {
            cause: error,
          }),
        );
        throw error;
      }
    },
  });

  return async (header, token) => {
    const now = Date.now();
    const at = fetchedAt();
    if (at !== null && now - at >= REFRESH_MS && remote.fresh && now >= retryAt()) {
      const reloading = remote.reload().catch(() => {}); // the keys that are there go on
      if (now - at >= WAIT_MS) await reloading;
    }
    try {
      return await remote(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
        throw error;
      const seconds = Math.max(1, Math.ceil((retryAt() - Date.now()) / 1000));
      throw new HearthError(
        'UNAVAILABLE',
        'The keys that verify this token cannot be fetched at the moment.',
        {
          retryAfter: seconds,
          cause: error,
        },
      );
    }
  };
}

/** jose fills it: here it tells when the keys were fetched. */
function emptyCache(): JWKSCacheInput {
  return {};
}

/** `init` has the time limit, and follows no redirect. @throws for anything but a 200 of at most MAX_BYTES. */
async function fetchBounded(
  url: string,
  init: { headers: Headers; method: 'GET'; redirect: 'manual'; signal: AbortSignal },
): Promise<Response> {
  const answer = await fetch(url, init);
  if (answer.status !== 200) {
    await answer.body?.cancel();
    throw new Error(`it answered ${answer.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`it answered more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  createLocalJWKSet(JSON.parse(text)); // throws for what is no key set
  return new Response(text);
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS} ms`;
  if (error instanceof SyntaxError) return 'it answered no JSON';
  if (error instanceof errors.JWKSInvalid) return 'it answered no key set';
  return messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error);
}
