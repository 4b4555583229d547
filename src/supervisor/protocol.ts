/** What routers and the supervisor say to each other over the cluster's IPC: leases, changes, executions, metrics. */
import type { ErrorCode } from '../errors.js';
import type { ProcessSockets } from '../pool/process.js';
import type { Connection } from '../store/connection.js';
import type { EventRequest } from '../store/events.js';
import type { TenantWithSecrets } from '../store/tenants.js';
import type {
  DueTrigger,
  Execution,
  FunctionMeta,
  ImportRecord,
  JwtSettings,
  PreparedCode,
  TriggerType,
} from '../store/types.js';
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
  /** Whether it was given secrets: what it tells is redacted by the supervisor before it is stored. */
  secrets: boolean;
}

/** What is counted, and how much of it there is. */
export interface BudgetSpec {
  /** Unique on the node. */
  key: string;
  limit: number;
  /**
   * ms; windows begin at multiples of it since the Unix epoch. Null: not a window of time, but permits that come back
   * when their calls are over.
   */
  windowMs: number | null;
  /** The tenant's quota that it is, which counts over all nodes; null: a caller's, which this node counts alone. */
  of: { tenant: string; quota: TenantBudget } | null;
}

export type TenantBudget = 'minute' | 'day' | 'concurrent';

export function budgetKey(tenant: string, quota: TenantBudget): string {
  return `${quota} ${tenant}`;
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

/** An execution on its way to its row by the supervisor. */
export interface ExecutionRow {
  execution: Execution;
  /** The process whose secrets may be in its texts; null: there are none in them. */
  secretsOf: number | null;
  /** Nothing more is known about it anywhere. */
  complete: boolean;
}

/** One attempt at due work, for a router to make. */
export interface DueCall {
  /** The execution's, the same for all attempts. */
  id: string;
  functionId: string;
  trigger: DueTrigger;
  /** From 1 on. */
  attempt: number;
  requestId: string;
  request: EventRequest;
}

/** Whether nobody waits for the answer of a call that was made so. */
export function isDue(trigger: TriggerType): trigger is DueTrigger {
  return trigger === 'async' || trigger === 'cron' || trigger === 'database';
}

/** `row`: it ran. `refused`: it did not begin. */
export type DueOutcome = { row: ExecutionRow } | { refused: { code: ErrorCode; message: string } };

/** What it took to have a process of a function, in ms, in the order of its stages. */
export interface LoadStages {
  /** Until there was a blank process. */
  processMs: number;
  /** Until its code and its secrets were there as well. */
  codeMs: number;
  /** Until the process had its environment, and nothing that it may not have. */
  environmentMs: number;
  /** Until its module was loaded. */
  importMs: number;
}

export type ToSupervisor =
  /** The process runs and hears: its configuration may come. */
  | { t: 'hello' }
  /** The router may be given connections. */
  | { t: 'up' }
  /** So many of its connections have closed. */
  | { t: 'closed'; connections: number }
  /** A call waits for a slot; answered by `grant` or `deny`. `due`: nobody waits for its answer. */
  | { t: 'acquire'; functionId: string; call: number; due: boolean }
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
  /** Executions of which the process told that more is to come, which it could not finish, or which are to be redacted. */
  | { t: 'executions'; rows: ExecutionRow[] }
  | { t: 'metrics'; deltas: Delta[] }
  /** A call was taken that is to be made as soon as there is room. */
  | { t: 'event-taken' }
  /** Calls wait for tokens of a budget; answered by `budget-grant` or `budget-deny`. One at a time for each budget. */
  | { t: 'budget-ask'; spec: BudgetSpec; wanted: number }
  /** Unspent tokens go back. `recalled`: this answers a `budget-recall`. */
  | { t: 'budget-return'; rows: [key: string, startsAt: number, tokens: number][]; recalled: boolean }
  | RequestMessage
  | ReplyMessage;

export type ToRouter =
  /** Comes with a client's connection. */
  | { t: 'connection' }
  /** A blank process is ready: a connection may be opened ahead. */
  | { t: 'blank'; process: number; sockets: ProcessSockets }
  /** `loaded`: whether its module is; calls may go there all the same. `loaded` or `load-failed` follows where not. */
  | { t: 'grant'; call: number; slots: number; loaded: boolean; to: ProcessAddress }
  | { t: 'loaded'; process: number; stages: LoadStages }
  /** Its calls never ran. `denial`: what becomes of them; null: another process may serve them. */
  | { t: 'load-failed'; process: number; denial: Denial | null }
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
  /** Tokens to spend until the window ends (Unix ms); `left`: what is there besides them at this moment. */
  | { t: 'budget-grant'; key: string; startsAt: number; until: number | null; tokens: number; left: number }
  /** None are left. `until`: nor will there be before that time (Unix ms); null: one may come back at any moment. */
  | { t: 'budget-deny'; key: string; until: number | null }
  /** Give back what is unspent, and say so if it is nothing: calls at another router wait. */
  | { t: 'budget-recall'; key: string }
  /**
   * More permits are out than there may be: give back this many, idle ones now and the others as their calls end. Only
   * the latest number counts.
   */
  | { t: 'budget-owe'; key: string; permits: number }
  /** There are tokens again before the window's end. */
  | { t: 'budget-open'; key: string }
  /** The tenant has used up its month's CPU: none of its calls until then (Unix ms); 0: they may be made again. */
  | { t: 'tenant-closed'; tenant: string; until: number }
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
  /** Makes a call that nobody waits for. */
  run: { params: DueCall; value: DueOutcome };
  /** What was recorded since the last time. */
  metrics: { params: null; value: Delta[] };
}

export type PrepareSource = {
  name: string;
  /** What the imports of the version before came to. */
  before?: ImportRecord | null;
  /** The hash of its bundle, where it need not be made again of the same code: `bundle` is then empty. */
  keep?: string;
} & ({ code: string } | { entry: string; root: string });

/** What a router gets when it is forked, besides the environment. */
export interface RouterConfig {
  connection: Connection;
  adminKey: string;
  /** Who else signs the default tenant's tokens, as the environment says: goes before what is stored. */
  defaultJwt: JwtSettings;
  /** Whether the environment says what they are signed with. */
  defaultSecretIsSet: boolean;
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
  /** Connections of a router from which on the node's cores are all busy (placement.ts). */
  few: number;
  telemetry: RouterTelemetry;
}

/** How a process logs. */
export interface LogSettings {
  level: 'debug' | 'info' | 'warn' | 'error';
  format: 'json' | 'text';
  colours: boolean;
}

export interface RouterTelemetry {
  /** The router's name, which its successor takes over. */
  process: string;
  log: LogSettings;
  /** Of the node: `service.instance.id`. */
  instanceId: string;
  /** Known to the node's processes alone: what functions tell of traces is checked with it. */
  key: string;
}
