/** What a supervisor is started with. */
import type { CodeCache } from '../pool/code_cache.js';
import type { Prepare } from '../pool/prepare.js';
import type { Sandbox } from '../pool/sandbox.js';
import type { Store } from '../store/main.js';
import type { ClusterMetrics } from '../telemetry/cluster_metrics.js';
import type { Exports } from '../telemetry/exports.js';
import type { Logger } from '../telemetry/logger.js';
import type { AnonKey } from './process_tokens.js';
import type { RouterConfig, RouterTelemetry } from './protocol.js';
import type { Routers } from './routers.js';

export interface SupervisorOptions {
  store: Store;
  runDir: string;
  /** In memory, for the folders of processes behind bubblewrap; null: there is none. */
  memoryDir: string | null;
  /** Where the pool keeps what serves its processes again in the next run. */
  poolCacheDir: string;
  sandbox: Sandbox;
  poolSize: number;
  /** Where clients are accepted. */
  address: { host: string; port: number };
  /** Forked, and waiting for their configuration. */
  routers: Routers;
  /** ms; the window of functions whose habits are not known yet. */
  keepAliveMs: number;
  /** ms of CPU that one call may use; null: as long as its function's time limit. */
  callCpuMs: number | null;
  maxProcesses: number;
  /** MiB that they may have together. */
  memoryMib: number;
  /** Due work that may run here at once; 0: none does. */
  eventsConcurrency: number;
  code: CodeCache;
  /** What V8's code caches depend on besides the code. */
  engine: string;
  /** Whatever else has to be there before a call is served: the functions that come from files, say. */
  mayServe: Promise<unknown>;
  prepare: Prepare;
  metrics: ClusterMetrics;
  routerConfig: Omit<RouterConfig, 'databaseUp' | 'few' | 'telemetry'>;
  telemetry: Omit<RouterTelemetry, 'process'>;
  /** The node's address as functions reach it. */
  url: string;
  region: string;
  /** The default tenant's secret, and its anon key. */
  defaultKey: AnonKey;
  /** The default tenant's tokens are signed with another secret from now on: resolves with its anon key. */
  onDefaultSecret(secret: string): Promise<string>;
  log: Logger;
  /** Where spans and lines of functions go. */
  exports: Exports;
  onError(error: unknown): void;
}
