/** What routers and the supervisor say to each other over the cluster's IPC: leases, changes, executions, metrics. */
import type { ErrorCode } from '../errors.js';
import type { ProcessSockets } from '../pool/process.js';
import type { Connection } from '../store/connection.js';
import type { TenantWithSecrets } from '../store/tenants.js';
import type { Execution, FunctionMeta, PreparedCode } from '../store/types.js';
import type { Delta } from '../telemetry/delta.js';
import type { ReplyMessage, RequestMessage } from './rpc.js';

export { CallTable, Roster, type Seated } from '../pool/call_table.js';
export {
  ANSWER_PREFIX,
  FrameKind,
  MAX_ANSWER_FRAME,
  MAX_FRAMED_BODY,
  MAX_REQUEST_FRAME,
  PROGRESS_PLACES,
  REQUEST_PREFIX,
} from '../pool/frames.js';

/** Where a router sends calls of one process of one function version. */
export interface ProcessAddress {
  process: number;
  sockets: ProcessSockets;
  /** Marks the answers' internal header. */
  token: string;
  functionId: string;
  version: number;
}

/** Why a waiting call gets no slot. */
export interface Denial {
  code: ErrorCode;
  message: string;
  /** Seconds for `Retry-After`. */
  retryAfter?: number;
  /** What the module threw while it loaded: for the execution, never for the caller. */
  thrown?: { name: string; message: string; stack: string | null };
}

export interface LogLineMessage {
  execution_id: string | null;
  /** ISO 8601. */
  timestamp: string;
  level: 'debug' | 'info' | 'log' | 'warn' | 'error';
  message: string;
}

export type ToSupervisor =
  /** The process runs and hears: its configuration may come. */
  | { t: 'hello' }
  /** The router listens. */
  | { t: 'up'; port: number }
  /** A call waits for a slot; answered by `grant` or `deny`. */
  | { t: 'acquire'; functionId: string; call: number }
  | { t: 'cancel'; call: number }
  /** Slots that go back. */
  | { t: 'release'; process: number; slots: number }
  /** Per process: calls running now, calls since the last report, when the oldest running one began (Unix ms). */
  | { t: 'usage'; rows: [process: number, running: number, calls: number, oldest: number | null][] }
  /** A call went over its time there. */
  | { t: 'overdue'; process: number }
  /** How many of the router's calls there the function of a stuck process has seen. */
  | { t: 'stuck-calls'; process: number; seen: number }
  /** It did not take a call: it is ending, or ought to. */
  | { t: 'unreachable'; process: number }
  /** Executions of which the process told that more is to come, or which it could not finish. */
  | { t: 'executions'; rows: Execution[] }
  | { t: 'metrics'; deltas: Delta[] }
  | RequestMessage
  | ReplyMessage;

export type ToRouter =
  /** A blank process is ready: a connection may be opened ahead. */
  | { t: 'blank'; process: number; sockets: ProcessSockets }
  | { t: 'grant'; call: number; slots: number; cold: boolean; to: ProcessAddress }
  | { t: 'deny'; call: number; denial: Denial }
  /** Give back this many slots as they become free: calls at another router wait. */
  | { t: 'recall'; functionId: string; slots: number }
  /** No new calls there; give its slots back as they become free. */
  | { t: 'retire'; process: number }
  /** Its event loop is stuck, or answers again. */
  | { t: 'stuck'; process: number; stuck: boolean }
  | { t: 'gone'; process: number; reason: string }
  | { t: 'logs'; functionId: string; lines: LogLineMessage[] }
  /** An API or service key was changed or removed: its SHA-256, hex; null: any may have been. */
  | { t: 'key-changed'; hash: string | null }
  /** Whether the database answers: `/readyz` and calls of unknown functions depend on it. */
  | { t: 'database'; up: boolean }
  /** Stop accepting, finish what is in flight. */
  | { t: 'drain'; seconds: number }
  | RequestMessage
  | ReplyMessage;

/** What a router asks of the supervisor (`request`). */
export interface SupervisorMethods {
  /** Checks and bundles code at deploy; throws INVALID_FUNCTION. */
  prepare: { params: PrepareSource; value: PreparedCode };
  /** A function was written to the database: resolves when every router serves the change. */
  changed: { params: string; value: null };
  /** A tenant was: its slug. */
  'tenant-changed': { params: string; value: null };
  /** It is served no more: resolves when no process of it lives here, or they had their time. */
  'tenant-drained': { params: string; value: null };
  /** Everything noted so far is in the database when this resolves. */
  flush: { params: null; value: null };
  follow: { params: { functionId: string; on: boolean }; value: null };
}

/** What the supervisor asks of a router. */
export interface RouterMethods {
  /** Functions that are new or changed, and ids of those that are gone. `complete`: these are all there are. */
  functions: { params: { changed: FunctionMeta[]; removed: string[]; complete: boolean }; value: null };
  /** The same of tenants, with their slugs. */
  tenants: { params: { changed: TenantWithSecrets[]; removed: string[]; complete: boolean }; value: null };
  flush: { params: null; value: null };
  /** What was recorded since the last time. */
  metrics: { params: null; value: Delta[] };
}

export type PrepareSource = { name: string } & ({ code: string } | { entry: string; root: string });

/** What a router gets when it is forked, besides the environment. */
export interface RouterConfig {
  host: string;
  port: number;
  connection: Connection;
  adminKey: string;
  /** What stored secrets are sealed with: the first seals, all open. */
  secretKeys: string[];
  /** Proxies whose X-Forwarded-For counts: addresses and ranges. */
  trustedProxies: string[];
  domain: string | null;
  /** Why there may be no second tenant on this node; null: there may. */
  singleTenant: string | null;
  functionsDir: string;
  maxCodeBytes: number;
  /** Null: any. */
  maxRequestBytes: number | null;
  maxResponseBytes: number | null;
  version: string;
  databaseUp: boolean;
}
