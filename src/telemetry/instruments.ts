/** Every instrument of Hearth, with the names, units and attributes of the OpenTelemetry conventions where they have one. */
import type { Definition, HistogramDefinition } from './delta.js';
import type { Recorder } from './recorder.js';

/** The well-known values of `faas.trigger`. */
export type FaasTrigger = 'http' | 'timer' | 'datasource' | 'other';
/** How an execution ended, as its record says it. */
export type Outcome = 'success' | 'error' | 'timeout' | 'cancelled';

export type FunctionAttributes = { 'hearth.tenant': string; 'faas.name': string };
export type InvocationAttributes = FunctionAttributes & { 'faas.trigger': FaasTrigger };
export type InvokeDurationAttributes = InvocationAttributes & { 'hearth.outcome': Outcome };
/** What became of due work. `dead`: given up after all its attempts; `skipped`: the tick before it was not over. */
export type EventOutcome = 'success' | 'error' | 'dead' | 'cancelled' | 'skipped';
export type EventEndedAttributes = InvocationAttributes & { 'hearth.outcome': EventOutcome };
export type PrewarmAttributes = FunctionAttributes & { 'hearth.outcome': 'used' | 'wasted' };
export type RequestAttributes = {
  /** From `httpMethod`. */
  'http.request.method': string;
  'url.scheme': 'http' | 'https';
  /** Not there when the client went away before an answer began. */
  'http.response.status_code'?: number;
  /** A route's template, never a path that a caller chose. */
  'http.route': string;
  /** Only where the request failed: a code of docs/errors.md, a function's own 5xx status, or `client_gone`. */
  'error.type'?: string;
};
/** Memory class in MiB. */
export type MemoryClassAttributes = { 'hearth.memory_class': number };
export type ProcessesAttributes = MemoryClassAttributes & { 'hearth.state': string };
/** What a first call waits for, in this order. */
export type StageAttributes = { 'hearth.stage': 'process' | 'code' | 'environment' | 'import' };
/** One of a fixed list of words, such as `idle`, `timeout`, `crash`, `memory`. */
export type EndedAttributes = { 'hearth.reason': string };
/** Which limit a call was over: one of a fixed list of words. */
export type RefusedAttributes = {
  'hearth.tenant': string;
  'hearth.limit': 'caller' | 'minute' | 'day' | 'concurrent' | 'cpu' | 'processes';
};
export type TenantAttributes = { 'hearth.tenant': string };
/** A quota's name, as the API has it. */
export type QuotaAttributes = TenantAttributes & { 'hearth.quota': string };
/** `error.type` only where it failed: a SQLSTATE, or the connection's error code. */
export type DatabaseAttributes = {
  'db.system.name': 'postgresql';
  'db.operation.name': 'COPY' | 'SELECT';
  'error.type'?: string;
};
export type ConnectionAttributes = {
  'db.client.connection.pool.name': string;
  'db.client.connection.state': 'idle' | 'used';
};
/** `with({})`: an instrument of one series. */
export type NoAttributes = Record<never, never>;

/**
 * The bounds that the conventions ask for (5 ms to 10 s), with finer ones below for warm calls and coarser ones
 * above for functions that may run for 300 s.
 */
const CALL_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60,
  120, 300,
];
const PROCESS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** The convention's for databases, and the health check's patience at the end. */
const DATABASE_SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];
const CPU_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const MEMORY_BYTES = [32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024].map((mib) => mib * 1024 * 1024);

function define(name: string, unit: string, description: string): Definition {
  return { name, unit, description };
}

function perProcess(name: string, unit: string, description: string): Definition {
  return { name, unit, description, perProcess: true };
}

function distribution(
  name: string,
  unit: string,
  bounds: readonly number[],
  description: string,
): HistogramDefinition {
  return { name, unit, description, bounds };
}

export type Instruments = ReturnType<typeof createInstruments>;

/** Defines all instruments on a recorder: once per recorder. What each means to a reader: docs/metrics.md. */
export function createInstruments(recorder: Recorder) {
  return {
    invocations: recorder.counter<InvocationAttributes>(
      define('faas.invocations', '{invocation}', 'Invocations that succeeded'),
    ),
    errors: recorder.counter<InvocationAttributes>(
      define('faas.errors', '{error}', 'Invocations that ended in an error'),
    ),
    timeouts: recorder.counter<InvocationAttributes>(
      define('faas.timeouts', '{timeout}', 'Invocations that ran into their timeout'),
    ),
    invokeDuration: recorder.histogram<InvokeDurationAttributes>(
      distribution('faas.invoke_duration', 's', CALL_SECONDS, "Duration of the function's own work"),
    ),
    coldStarts: recorder.counter<FunctionAttributes>(
      define('faas.coldstarts', '{coldstart}', 'Invocations that had to wait for a process'),
    ),
    initDuration: recorder.histogram<FunctionAttributes>(
      distribution(
        'faas.init_duration',
        's',
        PROCESS_SECONDS,
        "Duration of loading a function's code in its process",
      ),
    ),
    memoryUsage: recorder.histogram<FunctionAttributes>(
      distribution(
        'faas.mem_usage',
        'By',
        MEMORY_BYTES,
        "Resident memory of a function's process, at each sample",
      ),
    ),
    cpuUsage: recorder.histogram<FunctionAttributes>(
      distribution(
        'faas.cpu_usage',
        's',
        CPU_SECONDS,
        "CPU time of a function's process between two samples",
      ),
    ),

    requestDuration: recorder.histogram<RequestAttributes>(
      distribution('http.server.request.duration', 's', CALL_SECONDS, 'Duration of HTTP server requests'),
    ),

    poolProcesses: recorder.gauge<ProcessesAttributes>(
      define('hearth.pool.processes', '{process}', 'Deno processes that exist now'),
    ),
    poolSpawnDuration: recorder.histogram<MemoryClassAttributes>(
      distribution(
        'hearth.pool.spawn.duration',
        's',
        PROCESS_SECONDS,
        'From the spawn of a process to its being ready',
      ),
    ),
    poolClaimDuration: recorder.histogram<MemoryClassAttributes>(
      distribution(
        'hearth.pool.claim.duration',
        's',
        PROCESS_SECONDS,
        'From asking for a process to having it specialised',
      ),
    ),
    startStageDuration: recorder.histogram<StageAttributes>(
      distribution(
        'hearth.start.stage.duration',
        's',
        PROCESS_SECONDS,
        'The stages of giving a function a process, one by one',
      ),
    ),
    poolEnded: recorder.counter<EndedAttributes>(
      define('hearth.pool.ended', '{process}', 'Deno processes that ended'),
    ),

    poolSize: recorder.gauge<NoAttributes>(
      define('hearth.pool.size', '{process}', 'Blank processes that are to be kept ready'),
    ),
    poolLimit: recorder.gauge<NoAttributes>(
      define('hearth.pool.limit', '{process}', 'Processes that functions may have on this node at once'),
    ),
    poolMemory: recorder.gauge<NoAttributes>(
      define('hearth.pool.memory.usage', 'By', "Resident memory of functions' processes, as last measured"),
    ),
    poolMemoryLimit: recorder.gauge<NoAttributes>(
      define('hearth.pool.memory.limit', 'By', "Resident memory that functions' processes may have together"),
    ),
    prewarms: recorder.counter<PrewarmAttributes>(
      define('hearth.prewarms', '{process}', 'Processes started ahead of a call, by what came of them'),
    ),

    queueLength: recorder.gauge<FunctionAttributes>(
      define('hearth.queue.length', '{request}', 'Requests that wait for a slot now'),
    ),
    queueWait: recorder.histogram<FunctionAttributes>(
      distribution('hearth.queue.wait', 's', CALL_SECONDS, 'How long requests waited for a slot'),
    ),

    callsRefused: recorder.counter<RefusedAttributes>(
      define('hearth.calls.refused', '{request}', 'Calls that were over a quota or a rate limit'),
    ),

    tenantProcesses: recorder.gauge<TenantAttributes>(
      define('hearth.tenant.processes', '{process}', "Deno processes of a tenant's functions"),
    ),
    tenantMemory: recorder.gauge<TenantAttributes>(
      define('hearth.tenant.memory', 'By', 'Memory that these processes may use'),
    ),
    quotaLimit: recorder.gauge<QuotaAttributes>(
      define('hearth.quota.limit', '{unit}', "A tenant's quota, in the quota's own unit"),
    ),
    quotaUsed: recorder.gauge<QuotaAttributes>(
      define('hearth.quota.used', '{unit}', 'What is used of it, over all nodes'),
    ),

    databaseUp: recorder.gauge<NoAttributes>(
      define('hearth.database.up', '{database}', 'Whether the database answered last: 1 or 0'),
    ),
    databaseDuration: recorder.histogram<DatabaseAttributes>(
      distribution(
        'db.client.operation.duration',
        's',
        DATABASE_SECONDS,
        'Duration of batches of executions (COPY) and of the health check (SELECT)',
      ),
    ),
    databaseConnections: recorder.gauge<ConnectionAttributes>(
      define('db.client.connection.count', '{connection}', "Connections from this node's address"),
    ),

    eventsDue: recorder.gauge<NoAttributes>(
      define('hearth.events.due', '{event}', 'Due work of the cluster that waits to be run'),
    ),
    eventsLag: recorder.gauge<NoAttributes>(
      define('hearth.events.lag', 's', 'How long the oldest of it has been due'),
    ),
    eventsDead: recorder.gauge<NoAttributes>(
      define('hearth.events.dead', '{event}', 'Due work of the cluster that was given up'),
    ),
    eventsRunning: recorder.gauge<NoAttributes>(
      define('hearth.events.running', '{event}', 'Due work that runs on this node'),
    ),
    eventsLimit: recorder.gauge<NoAttributes>(
      define('hearth.events.limit', '{event}', 'Due work that may run on this node at once'),
    ),
    eventsEnded: recorder.counter<EventEndedAttributes>(
      define('hearth.events.ended', '{event}', 'Due work that is over, by what became of it'),
    ),
    eventsRetries: recorder.counter<InvocationAttributes>(
      define('hearth.events.retries', '{attempt}', 'Attempts that failed and are made again'),
    ),

    executionsBuffered: recorder.gauge<NoAttributes>(
      define(
        'hearth.executions.buffered',
        '{execution}',
        'Executions that are not yet written to the database',
      ),
    ),
    executionsWritten: recorder.counter<NoAttributes>(
      define('hearth.executions.written', '{execution}', 'Executions written to the database'),
    ),
    executionsDropped: recorder.counter<NoAttributes>(
      define('hearth.executions.dropped', '{execution}', 'Executions lost because the buffer was full'),
    ),

    codeCacheHits: recorder.counter<NoAttributes>(
      define('hearth.code_cache.hits', '{lookup}', 'Look-ups of prepared code that found it on disk'),
    ),
    codeCacheMisses: recorder.counter<NoAttributes>(
      define('hearth.code_cache.misses', '{lookup}', 'Look-ups of prepared code that had to fetch it'),
    ),
    codeCacheBytes: recorder.gauge<NoAttributes>(
      define('hearth.code_cache.bytes', 'By', 'Size of the code cache on disk'),
    ),
    codeCacheEvictions: recorder.counter<NoAttributes>(
      define(
        'hearth.code_cache.evictions',
        '{entry}',
        'Entries removed from the code cache to stay within its size',
      ),
    ),

    routerRestarts: recorder.counter<NoAttributes>(
      define('hearth.router.restarts', '{restart}', 'Routers that died and were forked again'),
    ),

    eventLoopDelayP50: recorder.gauge<NoAttributes>(
      perProcess('nodejs.eventloop.delay.p50', 's', 'Event loop median delay'),
    ),
    eventLoopDelayP99: recorder.gauge<NoAttributes>(
      perProcess('nodejs.eventloop.delay.p99', 's', 'Event loop 99 percentile delay'),
    ),
    eventLoopDelayMax: recorder.gauge<NoAttributes>(
      perProcess('nodejs.eventloop.delay.max', 's', 'Event loop maximum delay'),
    ),
    eventLoopUtilization: recorder.gauge<NoAttributes>(
      perProcess('nodejs.eventloop.utilization', '1', 'Event loop utilization'),
    ),
    processMemory: recorder.gauge<NoAttributes>(
      perProcess('process.memory.usage', 'By', 'Resident memory of a process of the node'),
    ),
    processUptime: recorder.gauge<NoAttributes>(
      perProcess('process.uptime', 's', 'Time since a process of the node started'),
    ),
  };
}

/** What an execution's trigger is called in the convention (`faas.trigger`). */
export function faasTrigger(trigger: 'http' | 'invoke' | 'cron' | 'database' | 'async'): FaasTrigger {
  switch (trigger) {
    case 'http':
    case 'invoke':
      return 'http';
    case 'cron':
      return 'timer';
    case 'database':
      return 'datasource';
    case 'async':
      return 'other';
  }
}

/** What tells the series of a function: all of them are released with these when it is deleted. */
export function functionAttributes(fn: { tenant: string; name: string }): FunctionAttributes {
  return { 'hearth.tenant': fn.tenant, 'faas.name': fn.name };
}

export function tenantAttributes(tenant: string): TenantAttributes {
  return { 'hearth.tenant': tenant };
}

const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
]);

/** `http.request.method`: a method of RFC 9110 or PATCH, and `_OTHER` for what a caller made up (the HTTP conventions). */
export function httpMethod(method: string): string {
  return METHODS.has(method) ? method : '_OTHER';
}
