/** Functions' secrets on this node: read on first need, kept in a bounded memory, and handed to each new process. */
import { HearthError } from '../errors.js';
import { type ByteLru, createByteLru } from '../pool/code_cache_lru.js';
import { isDatabaseAway } from '../store/database_errors.js';
import type { Secrets } from '../store/secrets.js';
import type { FunctionMeta } from '../store/types.js';
import { createRedactor, type Redact } from './redactor.js';
import { formsOf } from './secret_forms.js';

/** What a process gets, and what must not be seen of it elsewhere. */
export interface ProcessSecrets {
  readonly env: Readonly<Record<string, string>>;
  /** Null: there is nothing to redact. */
  readonly redact: Redact | null;
}

export interface NodeSecrets {
  /**
   * The function's own win over the tenant's. It costs a query where they are not known here in these revisions, and
   * nothing for a function that never had any.
   *
   * @throws HearthError UNAVAILABLE when they are not known here and the database is away; SealError.
   */
  of(fn: FunctionMeta, tenantRevision: number): Promise<ProcessSecrets>;
  /** A function is gone. */
  forgetFunction(id: string): void;
  /** A tenant is. */
  forgetTenant(slug: string): void;
}

export interface NodeSecretsOptions {
  values: Secrets['values'];
  /** Bytes of values that are kept, roughly. Default 16 MiB. */
  maxBytes?: number;
  /** ms after which the database counts as away. Default 5,000. */
  timeoutMs?: number;
}

/** What a process has that has none. */
export const NO_SECRETS: ProcessSecrets = { env: {}, redact: null };

/** The revision of whoever never had a secret. */
const NEVER_ANY = 1;
/** Bytes that an entry counts for besides its values. */
const ENTRY_BYTES = 512;

type Values = Readonly<Record<string, string>>;

interface Known {
  /** At least as new as this. */
  revision: number;
  values: Promise<Values>;
}

interface Made {
  of: readonly Values[];
  secrets: ProcessSecrets;
}

export function createNodeSecrets(options: NodeSecretsOptions): NodeSecrets {
  const { maxBytes = 16 * 1024 * 1024, timeoutMs = 5_000 } = options;
  const known: ByteLru<Known> = createByteLru(maxBytes);
  /** By function: processes of the same secrets share one redactor. */
  const made: ByteLru<Made> = createByteLru(maxBytes);

  function valuesOf(key: string, tenant: string, functionId: string | null, revision: number) {
    if (revision === NEVER_ANY) return NOTHING;
    const found = known.get(key);
    if (found?.revision === revision) return found.values;
    const values = within(timeoutMs, options.values(tenant, functionId));
    const entry: Known = { revision, values };
    keep(known, key, entry, ENTRY_BYTES);
    values.then(
      (read) => {
        if (known.get(key) === entry) keep(known, key, entry, ENTRY_BYTES + sizeOf(read));
      },
      () => {
        // Whoever waits for it hears why; the next one tries again.
        if (known.get(key) === entry) known.delete(key);
      },
    );
    return values;
  }

  function make(functionId: string, of: readonly [Values, Values]): ProcessSecrets {
    const before = made.get(functionId);
    if (before?.of.every((values, index) => values === of[index])) return before.secrets;
    const env = { ...of[0], ...of[1] };
    const values = Object.values(env);
    const secrets = values.length === 0 ? NO_SECRETS : { env, redact: redactorOf(values) };
    keep(made, functionId, { of, secrets }, ENTRY_BYTES + sizeOf(env));
    return secrets;
  }

  return {
    async of(fn, tenantRevision) {
      const { id, tenant } = fn;
      // Without the permission nothing could read them.
      if (!fn.allow_env) return NO_SECRETS;
      if (fn.secrets_revision === NEVER_ANY && tenantRevision === NEVER_ANY) return NO_SECRETS;
      try {
        const [shared, own] = await Promise.all([
          valuesOf(tenant, tenant, null, tenantRevision),
          valuesOf(id, tenant, id, fn.secrets_revision),
        ]);
        return make(id, [shared, own]);
      } catch (error) {
        if (!(error instanceof TooLate) && !isDatabaseAway(error)) throw error;
        throw new HearthError(
          'UNAVAILABLE',
          `The secrets of the function ${fn.name} cannot be read, because the database is away. Try again shortly.`,
          { retryAfter: 2, cause: error },
        );
      }
    },
    forgetFunction(id) {
      known.delete(id);
      made.delete(id);
    },
    forgetTenant: (slug) => known.delete(slug),
  };
}

const NOTHING: Promise<Values> = Promise.resolve({});

class TooLate extends Error {}

/** Built when there is a first text to look at: most processes never tell one. */
function redactorOf(values: readonly string[]): Redact {
  let redact: Redact | null = null;
  return (text) => {
    redact ??= createRedactor(formsOf(values));
    return redact(text);
  };
}

function keep<T>(entries: ByteLru<T>, key: string, value: T, bytes: number): void {
  entries.set(key, value, bytes);
  for (const old of entries.excess()) if (old !== key) entries.delete(old);
}

function sizeOf(values: Values): number {
  return Object.entries(values).reduce((sum, [name, value]) => sum + 2 * (name.length + value.length), 0);
}

function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TooLate(`no answer within ${ms} ms`)), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
