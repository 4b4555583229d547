/** What a node starts, in this order, and stops in the reverse. */
import { randomBytes, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { access, constants, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Config, readConfig } from './config.js';
import { messageOf, StartError } from './errors.js';
import { createCodeCache } from './pool/code_cache.js';
import { dumpNoCore } from './pool/core_dumps.js';
import { denoEngine, findDeno, findDenoEsbuild } from './pool/deno_binary.js';
import { deniedAddresses, type Endpoint, platformHost } from './pool/egress.js';
import { gatherEgressFacts } from './pool/egress_facts.js';
import { createPrepare } from './pool/prepare.js';
import { makeRunDir } from './pool/run_dir.js';
import { findTools, type Sandbox } from './pool/sandbox.js';
import { chooseSandbox } from './pool/sandbox_choice.js';
import { createStartOutput } from './start_output.js';
import { type Connection, endpointsOf } from './store/connection.js';
import { startEmbedded } from './store/embedded.js';
import { openStore, type Store } from './store/main.js';
import { migrate } from './store/migrate.js';
import { reservePort } from './supervisor/connections.js';
import {
  credentialsPath,
  type Keys,
  makeKeys,
  readKept,
  readSecretKey,
  writeCredentials,
} from './supervisor/credentials.js';
import { type Supervisor, startSupervisor } from './supervisor/main.js';
import type { LogSettings } from './supervisor/protocol.js';
import { startRouters } from './supervisor/routers.js';
import { otlpEndpoints } from './telemetry/asked.js';
import { createClusterMetrics } from './telemetry/cluster_metrics.js';
import { startExports } from './telemetry/exports.js';
import { openLog, reportTo } from './telemetry/logger.js';
import { startTelemetry } from './telemetry/main.js';

export interface Node {
  /** Resolves when it serves; rejects with what keeps it from starting. */
  readonly ready: Promise<void>;
  readonly stopping: boolean;
  /** Drains and releases everything; resolves with the exit status. */
  stop(): Promise<number>;
  /** Removes what would outlive this process: its folders. Every process that it started dies with it. */
  stopNow(): void;
}

/** What the primary process is called in the log and in what is exported. */
const SUPERVISOR = 'supervisor';
/** Connections of the supervisor; each router has a few of its own. */
const SUPERVISOR_CONNECTIONS = 5;
const STOP_DURING_START_MS = 10_000;

/** @param dist the folder of the built program. */
export function startNode(env: Readonly<Record<string, string | undefined>>, dist: string): Node {
  const releasers: (() => Promise<unknown> | unknown)[] = [];
  /** In the temp folder. */
  const folders: string[] = [];
  let endProcesses = () => {};
  let stopped: Promise<number> | null = null;
  let log = openLog(SUPERVISOR, { level: 'info', format: 'text', colours: false });
  const warn = (problem: unknown) => reportTo(log)(problem);
  const ready = start();

  async function start(): Promise<void> {
    const began = performance.now();
    const config = readConfig(env);
    const logSettings = logSettingsOf(config, process.stderr.isTTY);
    log = openLog(SUPERVISOR, logSettings);
    dumpNoCore(findTools(config.path).prlimit);
    const output = createStartOutput(process.stdout, process.cwd());
    const version = await packageVersion(dist);
    const denoPath = findDeno();
    await makeDataDir(config.dataDir);
    const port = await reservePort(config.host, config.port, 'HEARTH_PORT');
    const url = urlOf(config.host, port);

    const metrics = createClusterMetrics();
    let supervisor: Supervisor | null = null;
    const instanceId = randomUUID();
    // Not to the log that is exported: what cannot be sent would be told of by what cannot be sent.
    const reportExport = reportTo(openLog(SUPERVISOR, logSettings));
    const facts = { version, instanceId, process: SUPERVISOR };
    const exporting = startExports({ env, facts, onError: reportExport });
    exporting.catch(() => {}); // reported where it is awaited
    const telemetry = await startTelemetry({
      env,
      version,
      instanceId,
      host: config.host,
      port: config.metricsPort,
      metrics,
      beforeScrape: async () => supervisor?.collectMetrics(),
      onError: reportExport,
    });
    releasers.push(telemetry.stop);
    releasers.push(async () => {
      const { spans, logs } = await exporting;
      log.flush();
      log.exportTo(null);
      await Promise.all([spans?.stop(), logs?.stop()]);
    });

    // Whatever may refuse to start has had its say. Routers, sandbox and database take their time side by side.
    const routers = startRouters({ count: config.routers, entry: join(dist, 'main.js'), onError: warn });
    releasers.push(() => routers.drain(0));
    const runDir = await makeRunDir();
    releasers.push(runDir.remove);
    folders.push(runDir.path, ...(runDir.memory === null ? [] : [runDir.memory]));
    const runnerPath = join(dist, 'pool/runner.js');
    const sandboxing = sandboxFor(config, {
      denoPath,
      runnerPath,
      runDir: runDir.path,
      metricsUrl: telemetry.metricsUrl,
      otlp: otlpEndpoints(env),
    });
    sandboxing.catch(() => {}); // reported where it is awaited
    const reloading = import('./router/api/reload.js'); // slow to load, and not needed before the database
    reloading.catch(() => {}); // reported where it is awaited
    const connection = await database(config, output.progress);
    await migrate(connection);
    const secretKeys = [await readSecretKey(config.dataDir, config.secretKey)];
    if (config.previousSecretKey !== null) secretKeys.push(config.previousSecretKey);
    const store = await openStore(connection, {
      max: SUPERVISOR_CONNECTIONS,
      name: 'hearth-supervisor',
      secretKeys,
    });
    releasers.push(store.stop);
    await checkSecretKey(store);
    const sandbox = await sandboxing;
    const singleTenant =
      sandbox.kind === 'permissions' && !config.tenantsWithoutSandbox
        ? onlyPermissions(sandbox.reason)
        : null;
    if (singleTenant !== null && (await store.tenants.count()) > 1)
      throw new StartError(`there are several tenants, but ${singleTenant}`);

    const kept = await readKept(config.dataDir);
    const jwtSecret = await store.tenants.settleDefaultSecret(config.jwtSecret, kept.jwt_secret ?? null);
    const keys = await makeKeys(kept, { jwtSecret, adminKey: config.adminKey });
    const engine = denoEngine();
    const code = await createCodeCache({
      dir: join(config.dataDir, 'code'),
      engine,
      maxBytes: config.codeCacheBytes,
      onWarning: warn,
    });
    const prepare = createPrepare({
      denoPath,
      cacheDir: join(config.dataDir, 'deno'),
      env,
      maxCodeBytes: config.maxCodeBytes,
      maxCacheBytes: config.importCacheBytes,
      sandbox,
      esbuildPath: findDenoEsbuild(),
      onWarning: warn,
    });

    const deployed: string[] = [];
    const loading = reloading.then(({ reloadFromFiles }) =>
      reloadFromFiles({
        store,
        prepare,
        functionsDir: config.functionsDir,
        tenant: 'default',
        actor: { kind: 'system', id: null, address: null, request_id: null },
        changed: async (id) => void deployed.push(id), // nothing serves yet
      }),
    );
    const writeKeys = (keys: Keys) =>
      writeCredentials(config.dataDir, {
        url,
        metrics_url: telemetry.metricsUrl,
        console_url: `${url}/console`,
        tenant: 'default',
        ...keys,
      });
    const credentials = writeKeys(keys);
    const exports = await exporting;
    log.exportTo(exports.logs);
    supervisor = await startSupervisor({
      store,
      runDir: runDir.path,
      memoryDir: runDir.memory,
      poolCacheDir: join(config.dataDir, 'runner'),
      sandbox,
      poolSize: config.poolSize,
      routers,
      keepAliveMs: config.keepAliveMs,
      callCpuMs: config.callCpuMs,
      maxProcesses: config.maxProcesses,
      memoryMib: config.memoryMib,
      eventsConcurrency: config.eventsConcurrency,
      code,
      engine,
      mayServe: Promise.all([loading, credentials]),
      prepare,
      metrics,
      address: { host: config.host, port },
      routerConfig: {
        connection,
        adminKey: keys.admin_key,
        defaultJwt: config.jwt,
        defaultSecretIsSet: config.jwtSecret !== null,
        secretKeys,
        trustedProxies: config.trustedProxies,
        domain: config.domain,
        singleTenant: singleTenant === null ? null : `Not a second tenant: ${singleTenant}.`,
        functionsDir: config.functionsDir,
        maxCodeBytes: config.maxCodeBytes,
        maxRequestBytes: config.maxRequestBytes,
        maxResponseBytes: config.maxResponseBytes,
        version,
      },
      telemetry: { instanceId, key: randomBytes(32).toString('base64url'), log: logSettings },
      exports,
      async onDefaultSecret(jwtSecret) {
        const fresh = await makeKeys(keys, { jwtSecret, adminKey: keys.admin_key });
        await writeKeys(fresh);
        return fresh.anon_key;
      },
      defaultKey: { secret: jwtSecret, key: keys.anon_key },
      url: urlOf(platformHost(config.host, process.platform), port),
      region: config.region,
      log,
      onError: warn,
    });
    endProcesses = supervisor.endProcesses;
    const { drain } = supervisor;
    releasers.push(() => drain(config.drainSeconds));
    supervisor.deployed(deployed);

    await telemetry.loaded;
    output.started({
      version,
      url,
      metricsUrl: telemetry.metricsUrl,
      credentialsPath: credentialsPath(config.dataDir),
      functions: supervisor
        .functions()
        .map((fn) => fn.name)
        .sort(),
      failed: (await loading).errors,
      routers: config.routers,
      poolSize: config.poolSize,
      database: config.databaseUrl === null ? 'PostgreSQL, embedded' : 'PostgreSQL at DATABASE_URL',
      sandbox,
      tookMs: performance.now() - began,
    });
  }

  async function database(config: Config, progress: (what: string) => void): Promise<Connection> {
    if (config.databaseUrl !== null) return { url: config.databaseUrl };
    const embedded = await startEmbedded({ dataDir: config.dataDir, onProgress: progress });
    releasers.push(embedded.stop);
    folders.push(embedded.connection.host);
    void embedded.died.then((lastWords) => warn(new Error(`the embedded database ended: ${lastWords}`)));
    return embedded.connection;
  }

  return {
    ready,
    get stopping() {
      return stopped !== null;
    },
    stop() {
      stopped ??= (async () => {
        // What is being started has to be there to be stopped; what hangs is not waited for.
        await Promise.race([ready.catch(() => {}), sleep(STOP_DURING_START_MS, undefined, { ref: false })]);
        let status = 0;
        for (const release of releasers.reverse()) {
          try {
            await release();
          } catch (error) {
            warn(error);
            status = 1;
          }
        }
        return status;
      })();
      return stopped;
    },
    stopNow() {
      endProcesses(); // they write to their folders until they are gone
      // A process that was being started may still make its own folder: looked at again until it is gone.
      for (let round = 0; round < 10; round++) {
        for (const folder of folders) {
          try {
            rmSync(folder, { recursive: true, force: true });
          } catch {
            // Something was put there at this very moment: the next round removes it.
          }
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30);
      }
    },
  };
}

function logSettingsOf(config: Config, isTerminal: boolean): LogSettings {
  const text = config.logFormat === 'text' || (config.logFormat === 'auto' && isTerminal);
  return { level: config.logLevel, format: text ? 'text' : 'json', colours: text && isTerminal };
}

/** @throws StartError when it is not the key, nor the previous one is, that what is stored was sealed with. */
async function checkSecretKey({ resealing }: Store): Promise<void> {
  const [first, ...others] = await resealing.unknown();
  if (first === undefined) return;
  const rows = others.reduce((sum, { rows }) => sum + rows, first.rows);
  throw new StartError(
    `HEARTH_SECRET_KEY does not open ${rows} of the stored secrets, which were sealed with another key: ` +
      'set that one again, or as HEARTH_SECRET_KEY_PREVIOUS (a generated key is in secret.key in the data directory)',
  );
}

interface SandboxPaths {
  denoPath: string;
  runnerPath: string;
  runDir: string;
}

async function sandboxFor(
  config: Config,
  { otlp, ...paths }: SandboxPaths & { metricsUrl: string | null; otlp: Endpoint[] },
): Promise<Sandbox> {
  const endpoints: Endpoint[] = config.databaseUrl === null ? [] : endpointsOf({ url: config.databaseUrl });
  if (paths.metricsUrl !== null) {
    endpoints.push({ host: config.host, port: Number(new URL(paths.metricsUrl).port) });
  }
  // Nobody but the node says there whose traces and logs they are.
  endpoints.push(...otlp);
  const platform = platformHost(config.host, process.platform);
  const facts = await gatherEgressFacts({ deny: config.egressDeny, platform, endpoints });
  return await chooseSandbox({
    asked: config.sandbox,
    tools: findTools(config.path),
    ...paths,
    denyNet: deniedAddresses(facts),
    ipv6: config.egressIpv6,
  });
}

/** Why there may be one tenant and no more. */
function onlyPermissions(reason: string): string {
  return (
    `there are only Deno's permissions between tenants here (${reason}): ` +
    'install bubblewrap, or set HEARTH_TENANTS_WITHOUT_SANDBOX=allow'
  );
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

async function makeDataDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StartError(`the data directory ${path} cannot be used: ${messageOf(error)} (HEARTH_DATA_DIR)`);
  }
}

async function packageVersion(dist: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(dist, '../package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}
