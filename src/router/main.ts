/** A router process: the public listener, what it knows of functions and credentials, and its leases. */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { HearthError } from '../errors.js';
import { databaseTimer } from '../store/database_timer.js';
import { createExecutionWriter } from '../store/execution_writer.js';
import { openStore } from '../store/main.js';
import type { TenantWithSecrets } from '../store/tenants.js';
import type { PreparedCode } from '../store/types.js';
import { createUsageLedger } from '../store/usage_ledger.js';
import {
  Roster,
  type RouterConfig,
  type RouterMethods,
  type SupervisorMethods,
  type ToRouter,
  type ToSupervisor,
} from '../supervisor/protocol.js';
import { createRpc } from '../supervisor/rpc.js';
import type { Env } from '../telemetry/asked.js';
import { startExports } from '../telemetry/exports.js';
import { createGoneSeries } from '../telemetry/gone_series.js';
import { createInstruments, functionAttributes, tenantAttributes } from '../telemetry/instruments.js';
import { openLog, reportTo } from '../telemetry/logger.js';
import { watchProcess } from '../telemetry/process_watch.js';
import { createRecorder } from '../telemetry/recorder.js';
import { samplerOf } from '../telemetry/sampling.js';
import type * as apiModule from './api/listener.js';
import { createAsyncCalls } from './async_calls.js';
import { createAuthenticator } from './authenticate.js';
import { createBudgets } from './budgets.js';
import { createAdmissions } from './budgets_admission.js';
import { createBusyPoll } from './busy_poll.js';
import type { CallContext, Running } from './call.js';
import { logFields } from './call_description.js';
import { createClientAddress } from './client_address.js';
import type { ClientAnswer } from './client_answer.js';
import { loadConsole } from './console_files.js';
import { Crowd } from './crowd.js';
import { createDueCalls } from './due_calls.js';
import { createExecutionNotes } from './execution_notes.js';
import { createFunctionEntry } from './function_entry.js';
import { createFunctionTable } from './functions.js';
import { createGateway } from './gateway.js';
import { answerHealth } from './health.js';
import { createJwksSets } from './jwks.js';
import { createKeyLookups } from './key_lookups.js';
import { startKeyUse } from './key_use.js';
import { createKeyring } from './keyring.js';
import { createLeases } from './leases.js';
import { createListener, type Listener } from './listener.js';
import { createLogFollowers } from './log_followers.js';
import { createRemembered } from './remembered.js';
import { createRequestMetrics } from './request_metrics.js';
import { createTenantTable } from './tenants.js';
import { createTokenMint } from './token_mint.js';
import { createTokenVerifier } from './tokens.js';
import { createTracing } from './tracing.js';

/** The supervisor, as a router reaches it. */
export interface SupervisorLink {
  send(message: ToSupervisor): void;
  onMessage(receive: (message: ToRouter) => void): void;
}

/** Resolves when the management API is loaded, which takes longer than all the rest of a router. */
export type LoadingApi = Promise<Pick<typeof apiModule, 'createApiListener'>>;

export interface Router extends Pick<Listener, 'accept'> {
  /** Resolves when everything in flight is done (or cut off after `seconds`) and everything noted is written. */
  drain(seconds: number): Promise<void>;
}

const DEADLINE_SWEEP_MS = 100;
const LEASE_SWEEP_MS = 1_000;
const LINGER_MS = 50;
const API_CONNECTIONS = 4;
/** Tokens that were verified lately. */
const MAX_REMEMBERED = 10_000;

/** Calls are served as soon as this resolves; a request of the management API waits until that is loaded. */
export async function startRouter(
  config: RouterConfig,
  link: SupervisorLink,
  loadingApi: LoadingApi,
  env: Env,
): Promise<Router> {
  const { telemetry, version } = config;
  const log = openLog(telemetry.process, telemetry.log);
  const warn = reportTo(log);
  const exporting = startExports({
    env,
    facts: { version, instanceId: telemetry.instanceId, process: telemetry.process },
    // Not to the log that is exported: what cannot be sent would be told of by what cannot be sent.
    onError: reportTo(openLog(telemetry.process, telemetry.log)),
  });
  const recorder = createRecorder();
  const instruments = createInstruments(recorder);
  const watch = watchProcess(instruments);
  const gone = createGoneSeries();
  const store = await openStore(config.connection, {
    max: API_CONNECTIONS,
    name: 'hearth-router',
    secretKeys: config.secretKeys,
  });
  const writer = createExecutionWriter(store.sql, {
    onError: warn,
    onWrite: databaseTimer(instruments, 'COPY'),
  });
  const usage = createUsageLedger({ write: store.usage.add, now: Date.now, onError: warn });
  const functions = createFunctionTable((meta) =>
    createFunctionEntry(
      meta,
      instruments,
      usage.tally({ tenant: meta.tenant, function_id: meta.id, function_name: meta.name }),
    ),
  );
  const admissions = createAdmissions({
    budgets: createBudgets({ send: link.send, now: Date.now }),
    instruments,
    now: Date.now,
  });
  const tenants = createTenantTable(config.domain, admissions.limitsOf);
  const lookups = createKeyLookups(store.apiKeys.byHashes);
  const keyUse = startKeyUse(store.apiKeys.noteUse, warn);
  const keyring = createKeyring({ lookUp: lookups.lookUp, used: keyUse.used, now: Date.now });
  const keyChanged = (hash: string | null) => {
    lookups.changed(hash);
    keyring.changed(hash);
  };
  const poll = createBusyPoll({
    cores: availableParallelism(),
    now: performance.now.bind(performance),
    afterLook: setImmediate,
  });
  const crowd = new Crowd(config.few, poll);
  const leases = createLeases(link.send, crowd);
  const followers = createLogFollowers(
    (functionId, on) => void ask('follow', { functionId, on }).catch(warn),
  );
  const notes = createExecutionNotes(writer, link.send);
  const state = { functionsLoaded: false, draining: false, databaseUp: config.databaseUp };
  const written = { written: 0, dropped: 0 };

  const rpc = createRpc(link.send, answer);
  const ask = <M extends keyof SupervisorMethods>(
    method: M,
    params: SupervisorMethods[M]['params'],
    timeoutMs?: number,
  ) => rpc.request(method, params, timeoutMs) as Promise<SupervisorMethods[M]['value']>;

  async function answer(method: string, params: unknown): Promise<unknown> {
    switch (method as keyof RouterMethods) {
      case 'functions': {
        const { changed, removed, complete } = params as RouterMethods['functions']['params'];
        if (complete) functions.keepOnly(new Set(changed.map((meta) => meta.id)));
        for (const meta of changed) {
          functions.set(meta);
          gone.keep(functionAttributes(meta));
        }
        for (const id of removed) {
          const meta = functions.byId(id)?.meta;
          functions.remove(id);
          if (meta !== undefined) gone.add(functionAttributes(meta));
        }
        if (complete) state.functionsLoaded = true;
        return null;
      }
      case 'tenants': {
        const { changed, removed, complete } = params as RouterMethods['tenants']['params'];
        if (complete) tenants.keepOnly(new Set(changed.map((tenant) => tenant.slug)));
        for (const tenant of changed) {
          tenants.set(withSettings(tenant));
          gone.keep(tenantAttributes(tenant.slug));
        }
        for (const slug of removed) {
          tenants.remove(slug);
          admissions.forget(slug);
          gone.add(tenantAttributes(slug));
        }
        return null;
      }
      case 'flush':
        await Promise.all([notes.flush(), usage.flush()]);
        return null;
      case 'run':
        return await dueCalls.run(params as RouterMethods['run']['params']);
      case 'metrics':
        return metrics();
    }
  }

  /** What the environment says of the default tenant's tokens goes before what is stored. */
  function withSettings(tenant: TenantWithSecrets): TenantWithSecrets {
    return tenant.slug === 'default' ? { ...tenant, jwt: { ...tenant.jwt, ...config.defaultJwt } } : tenant;
  }

  function metrics() {
    watch.sample();
    const now = writer.stats();
    instruments.executionsBuffered.with({}).set(now.buffered);
    instruments.executionsWritten.with({}).add(now.written - written.written);
    instruments.executionsDropped.with({}).add(now.dropped - written.dropped);
    written.written = now.written;
    written.dropped = now.dropped;
    if (!gone.isEmpty()) recorder.release(gone.includes);
    gone.clear();
    return recorder.drain();
  }

  const calls: CallContext = {
    leases,
    notes,
    running: new Roster(),
    maxRequestBytes: config.maxRequestBytes ?? Number.POSITIVE_INFINITY,
    maxResponseBytes: config.maxResponseBytes ?? Number.POSITIVE_INFINITY,
    overdue: (process) => link.send({ t: 'overdue', process }),
    failed: (call, error) => log.warn(error.message, { ...logFields(call), code: error.code }),
    now: Date.now,
  };

  const tracing = exporting.then(({ spans }) =>
    spans === null
      ? null
      : createTracing({
          sink: spans,
          sampler: samplerOf(env, warn, () => performance.now()),
          key: telemetry.key,
          scope: { name: 'hearth', version },
        }),
  );
  tracing.catch(() => {}); // reported where it is awaited
  const mint = createTokenMint((slug) => tenants.bySlug(slug)?.tenant.jwt_secrets[0]?.secret ?? '', Date.now);
  const dueCalls = createDueCalls({
    functions,
    tenants,
    calls,
    mint,
    admit: admissions.admit,
    tracing,
    isDraining: () => state.draining,
  });
  link.onMessage((message) => {
    switch (message.t) {
      case 'request':
      case 'reply':
        rpc.handle(message);
        break;
      case 'logs':
        followers.deliver(message.functionId, message.lines);
        break;
      case 'key-changed':
        keyChanged(message.hash);
        break;
      case 'database':
        state.databaseUp = message.up;
        break;
      case 'drain':
        break; // the process's own entry sees to it
      default:
        if (!admissions.handle(message)) leases.handle(message);
    }
  });

  const api = loadingApi.then(({ createApiListener }) =>
    createApiListener({
      store,
      prepare: (source) => ask('prepare', source, 90_000) as Promise<PreparedCode>,
      changed: async (functionId) => {
        await ask('changed', functionId);
      },
      tenantChanged: async (slug) => {
        await ask('tenant-changed', slug);
      },
      tenantDrained: async (slug) => {
        await ask('tenant-drained', slug, 30_000);
      },
      keyChanged,
      defaultSecretIsSet: config.defaultSecretIsSet,
      flushExecutions: async () => {
        await ask('flush', null, 3_000).catch(warn); // the list is then a moment behind
      },
      followLogs: followers.follow,
      functionsDir: config.functionsDir,
      domain: config.domain,
      singleTenant: config.singleTenant,
      maxCodeBytes: config.maxCodeBytes,
      version: config.version,
      onError: reportFailure,
    }),
  );
  const consoleFiles = await loadConsole(fileURLToPath(new URL('../console', import.meta.url)));
  /** Answers of the API that are not complete yet. */
  const answering = new Set<ClientAnswer>();

  const { spans, logs } = await exporting;
  log.exportTo(logs);
  const gateway = createGateway({
    functions,
    tracing: await tracing,
    tenants,
    asyncCalls: createAsyncCalls({
      take: store.events.take,
      maxBytes: calls.maxRequestBytes,
      onTaken: () => link.send({ t: 'event-taken' }),
      now: Date.now,
    }),
    authenticator: createAuthenticator({
      verifyToken: createTokenVerifier({ tenants, jwks: createJwksSets(warn), now: Date.now }),
      remembered: createRemembered(MAX_REMEMBERED),
      keyring,
      adminKey: config.adminKey,
      now: Date.now,
    }),
    clientAddress: createClientAddress(config.trustedProxies),
    admit: admissions.admit,
    calls,
    mint,
    databaseUp: () => state.databaseUp,
    api(incoming, outgoing, request) {
      if (request.path === '/healthz' || request.path === '/readyz')
        return answerHealth(outgoing, request.path, state);
      if (consoleFiles.answer(incoming, outgoing, request.path, request.requestId)) return;
      answering.add(outgoing);
      outgoing.once('close', () => answering.delete(outgoing));
      void api.then((answer) => answer(incoming, outgoing, request));
    },
    onError: reportFailure,
  });

  /** Of a request that the platform itself could not serve. */
  function reportFailure(error: unknown, requestId: string) {
    if (error instanceof HearthError && error.code !== 'INTERNAL')
      log.warn(error.message, { request_id: requestId, code: error.code });
    else warn(error, { request_id: requestId });
  }

  const deadlines = setInterval(() => {
    const now = Date.now();
    for (const call of calls.running) call.checkDeadline(now);
  }, DEADLINE_SWEEP_MS);
  const sweeps = setInterval(() => {
    leases.sweep(oldestCalls(calls.running));
    admissions.sweep();
  }, LEASE_SWEEP_MS);

  const requests = createRequestMetrics(instruments);
  const listener = createListener({
    crowd,
    onClosed: (connections) => link.send({ t: 'closed', connections }),
    onRequest(incoming, outgoing) {
      requests.watch(incoming, outgoing);
      gateway.onRequest(incoming, outgoing);
    },
    onUpgrade: gateway.onUpgrade,
  });
  link.send({ t: 'up' });

  return {
    accept: listener.accept,
    async drain(seconds) {
      state.draining = true;
      const closed = listener.close();
      const cutOff = setTimeout(() => {
        for (const call of [...calls.running]) call.cutOff();
        listener.closeAll();
      }, seconds * 1000);
      let quiet = 0;
      const lingering = setInterval(() => {
        const working = calls.running.size > 0 || answering.size > followers.count() || !listener.flushed();
        quiet = working ? 0 : quiet + 1;
        // What is left are idle connections and the logs that are followed; a request may just be on its way in.
        if (quiet > 1) listener.closeAll();
      }, LINGER_MS);
      await closed;
      // What nobody waits for has no connection that could be closed; it is cut off in time as well.
      while (dueCalls.size() > 0) await sleep(LINGER_MS);
      clearTimeout(cutOff);
      clearInterval(lingering);
      clearInterval(deadlines);
      clearInterval(sweeps);
      leases.stop();
      admissions.stop();
      await Promise.all([notes.stop(), usage.stop(), keyUse.stop()]);
      link.send({ t: 'metrics', deltas: metrics() });
      watch.stop();
      await store.stop();
      log.flush();
      await Promise.all([spans?.stop(), logs?.stop()]);
    },
  };
}

/** Process → when the oldest call that runs on it began. */
function oldestCalls(running: Iterable<Running>): Map<number, number> {
  const oldest = new Map<number, number>();
  for (const call of running) {
    const place = call.place();
    if (place === null) continue;
    oldest.set(place.process, Math.min(place.since, oldest.get(place.process) ?? place.since));
  }
  return oldest;
}
