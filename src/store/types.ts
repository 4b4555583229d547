/** The records that PostgreSQL keeps, as the rest of Hearth sees them. */

/** Who may read a function's answers from a browser (the Fetch standard's CORS protocol). */
export interface Cors {
  /** Origins such as `https://app.example.com`, or `*` alone. */
  origins: string[];
  methods?: string[];
  headers?: string[];
  expose_headers?: string[];
  credentials?: boolean;
  /** Seconds that a browser may keep a preflight's answer. */
  max_age?: number;
}

/** What a user sets of a function besides its code. */
export interface FunctionSettings {
  description: string | null;
  enabled: boolean;
  cron_schedule: string | null;
  /** Seconds, 1–300. */
  timeout_seconds: number;
  /** MiB, 32–1024. */
  memory_limit_mb: number;
  allow_net: boolean;
  allow_env: boolean;
  allow_read: boolean;
  allow_write: boolean;
  allow_unauthenticated: boolean;
  /** Calls that one process serves at once, 1–1000. */
  max_concurrency: number;
  /** Processes per node, 1–100. */
  max_instances: number;
  routes: string[];
  cors: Cors | null;
  rate_limit: string | null;
  disable_execution_logs: boolean;
}

/** A function as the router and the supervisor hold it in memory: everything but the code. */
export interface FunctionMeta extends FunctionSettings {
  id: string;
  /** The tenant's slug. */
  tenant: string;
  name: string;
  version: number;
  /** SHA-256 of the prepared bundle, hex: names the version's folder in the code cache. */
  hash: string;
  /** Goes up with each change of one of its secrets. */
  secrets_revision: number;
  created_at: Date;
  updated_at: Date;
  created_by: string | null;
  /** Where it came from: `reload` deletes only what came from files. */
  source: 'api' | 'file';
}

/** What the deploy step makes of a function's code, and what a process loads. */
export interface PreparedCode {
  /** The code as the user wrote it (the entry file of a folder). */
  code: string;
  /** One JavaScript module with an inline source map: all imports but `node:` inside. */
  bundle: string;
  /** SHA-256 of `bundle`, hex. */
  hash: string;
  /** What its `npm:`, `jsr:` and `https:` imports came to; null: it has none. */
  imports: ImportRecord | null;
}

/** One package or module that a version was built from. */
export interface ResolvedImport {
  /** As the code has it, with `@*` where it names no version; null: another import asks for it. */
  specifier: string | null;
  /** `npm:name@1.2.3`, `jsr:@scope/name@1.2.3`, or a URL. */
  resolved: string;
  /** npm: of the package (Subresource Integrity); jsr: SHA-256 of its list of files; a URL: of the text. Hex both. */
  integrity: string;
}

/** What is kept of a version's imports, so that the next deploy gets the same bytes or none. */
export interface ImportRecord {
  /** The import specifiers as the code has them, sorted. */
  asked: string[];
  /** SHA-256 of the module that was left to be bundled with them, hex: the same again comes to the same. */
  entry: string;
  /** Deno's lock file, format 5. */
  lock: string;
  resolved: ResolvedImport[];
}

export type TriggerType = 'http' | 'invoke' | 'cron' | 'database' | 'async';
/** What takes its turn by a row of its own. */
export type DueTrigger = Extract<TriggerType, 'cron' | 'database' | 'async'>;
export type ExecutionStatus = 'success' | 'error' | 'timeout' | 'cancelled';
/** Due work has an execution before it runs. */
export type ExecutionState = ExecutionStatus | 'pending' | 'running';

/** One execution, as it is written and as the API answers it. */
export interface Execution {
  /** UUIDv7 (RFC 9562): its first 48 bits are the start in Unix ms, which finds the day's partition. */
  id: string;
  tenant: string;
  function_id: string;
  function_name: string;
  version: number;
  trigger_type: TriggerType;
  trigger_payload: unknown;
  status: ExecutionStatus;
  status_code: number | null;
  duration_ms: number;
  cpu_ms: number | null;
  cold_start: boolean;
  /** The answer's body where it is text, cut at 64 KiB with a note. */
  result: string | null;
  /** Lines joined by \n, cut at 64 KiB with a note. */
  logs: string | null;
  error_message: string | null;
  error_stack: string | null;
  executed_at: Date;
  completed_at: Date | null;
  request_id: string;
}

/** One execution as it is read: it may not have ended yet. */
export type StoredExecution = Omit<Execution, 'status'> & { status: ExecutionState };

export type TenantStatus = 'active' | 'suspended' | 'deleting';

/** What a tenant may use. What is absent is not limited. Counted over all nodes. */
export interface Quotas {
  calls_per_minute?: number;
  calls_per_day?: number;
  concurrent_calls?: number;
  /** Deno processes, starting ones included. */
  live_processes?: number;
  /** Sum of `memory_limit_mb` of its processes. */
  memory_mib?: number;
  functions?: number;
  /** Bytes of the current code of all its functions. */
  code_bytes?: number;
  /** In a calendar month (UTC). */
  cpu_seconds_per_month?: number;
}

/** Who signs a tenant's users' tokens, besides the tenant's own HS256 secret (RFC 7517, RFC 7519). */
export interface JwtSettings {
  /** Where the public keys are: https, or http on a loopback address. */
  jwks_url?: string;
  /** `iss` must be this. */
  issuer?: string;
  /** `aud` must be or hold this. */
  audience?: string;
}

/** A tenant as the routers and the supervisor hold it in memory. */
export interface Tenant {
  slug: string;
  display_name: string;
  status: TenantStatus;
  /** Lower case, without a port. */
  domains: string[];
  quotas: Quotas;
  jwt: JwtSettings;
  /** Days that executions are kept. */
  retention_days: number;
  /** Goes up with each change of a secret of the whole tenant. */
  secrets_revision: number;
  created_at: Date;
  updated_at: Date;
}

/** A secret that HS256 tokens of a tenant are signed with. */
export interface JwtSecret {
  secret: string;
  /** Null: it signs. Else it only verifies, and until then. */
  verifies_until: Date | null;
}

/** Who makes a change, for the audit log. */
export interface Actor {
  kind: 'admin' | 'service_role' | 'service_key' | 'api_key' | 'system';
  /** `sub` of a token, the id of a key; null where the kind says all. */
  id: string | null;
  address: string | null;
  request_id: string | null;
}
