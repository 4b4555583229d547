/**
 * The program inside each Deno process: it starts blank, becomes one version of one function when the supervisor
 * claims it, and then serves calls that routers send over its Unix socket.
 *
 * `RUNNER_PATHS` in its environment has, a line each: the paths to listen on, for HTTP and for frames, that of the
 * progress file, that of the control socket, the process's DENO_DIR, its scratch folder.
 */

import type { Claim, ToRunner } from '../messages.ts';
import { BadAnswer } from './answer.ts';
import { createCalls } from './calls.ts';
import { type ModuleCache, openModuleCache } from './code_cache.ts';
import { openControl } from './control.ts';
import { after, cancel } from './deno_core.ts';
import { describe } from './describe.ts';
import { createExecutions } from './execution.ts';
import { listenForFrames } from './frames.ts';
import { captureServe, findHandler } from './handler.ts';
import { listenForHttp } from './http.ts';
import { type KnownImports, openKnownImports } from './known_imports.ts';
import { captureConsole } from './logs.ts';
import { ownCache } from './own_cache.ts';
import { hideMachine, offerPlatform } from './platform.ts';
import { rehearsalIn, rehearse } from './rehearsal.ts';
import { startTracing } from './tracing.ts';
import { createTrim } from './trim.ts';

const [listenPath = '', framesPath = '', progressPath = '', controlPath = '', denoDir = '', scratch = ''] = (
  Deno.env.get('RUNNER_PATHS') ?? ''
).split('\n');
for (const name of Object.keys(Deno.env.toObject())) Deno.env.delete(name);
const { entries } = Object;
const setEnv = Deno.env.set.bind(Deno.env);
const now = performance.now.bind(performance);
const revoke = Deno.permissions.revokeSync.bind(Deno.permissions);

/** Looks for V8's code cache, the last of them 1.3 s after the module has run. */
const HARVESTS = 6;
/** ms after which a process counts as waiting: one that is wanted at once has better things to do. */
const IDLE_MS = 25;

let sqlite: Promise<typeof import('node:sqlite')> | null = null;
let imports: KnownImports | null = null;
let prepared: Promise<void> | null = null;

const control = await openControl(controlPath);
const executions = createExecutions();
const served = captureServe();
const trim = createTrim();

const logs = captureConsole(control, executions);
const { waitUntil } = offerPlatform({ control, executions, logs });
const http = listenForHttp(listenPath);
const calls = createCalls({ control, executions, logs, waitUntil, http });
void listenForFrames(framesPath, progressPath, calls.frames);
hideMachine();
control.send({ t: 'ready' });
const ahead = after(IDLE_MS, prepareAhead);
await control.listen(onMessage);
Deno.exit(0);

function onMessage(message: ToRunner) {
  switch (message.t) {
    case 'ping':
      control.send({ t: 'pong', n: message.n });
      break;
    case 'env':
      for (const [name, value] of entries(message.set)) setEnv(name, value);
      break;
    case 'own-cache':
      void giveOwnCache();
      break;
    case 'trim':
      trim();
      break;
    case 'claim':
      cancel(ahead);
      void specialise(message.claim);
      break;
  }
}

/**
 * What a claim needs, and a first call, is loaded and compiled while the process waits: the module loader, the permission
 * calls, the databases of Deno's caches, the way of a call. It goes without where it is claimed at once.
 */
function prepareAhead() {
  prepared ??= prepare();
  return prepared;
}

async function prepare() {
  Deno.permissions.querySync({ name: 'net' });
  const loading = loadSqlite();
  await rehearse({ calls, scratch }).catch(() => {}); // the first call does it then
  imports = openKnownImports(await loading, denoDir);
}

async function giveOwnCache() {
  await prepareAhead();
  http.load();
  const databases = await ownCache(await loadSqlite(), { denoDir, notCompiled: rehearsalIn(scratch) });
  control.send({ t: 'own-cache', data: databases.map((bytes) => bytes.toBase64()) });
}

function loadSqlite() {
  sqlite ??= import('node:sqlite');
  return sqlite;
}

/** Environment, module, permissions: after this the process belongs to the function. */
async function specialise(claim: Claim) {
  const start = now();
  let cache: ModuleCache | null = null;
  if (claim.v8 !== null || claim.harvest) cache = openModuleCache(await loadSqlite(), denoDir, claim.entry);
  if (claim.v8 !== null) cache?.seed(Deno.readFileSync(claim.v8));
  if (claim.sourceHash !== null) imports?.addNone(claim.entry, claim.sourceHash);
  for (const [name, value] of entries(claim.env)) setEnv(name, value);
  if (claim.permissions.read || claim.permissions.write) setEnv('TMPDIR', scratch);
  if (claim.tracing.spans || claim.tracing.logs) startTracing(claim.tracing, { control, executions, logs });
  const code = fileFolder(claim.entry);
  narrow(claim.permissions);
  const ready = now();
  try {
    const module = await import(claim.entry);
    const handler = findHandler(module, served());
    if (handler === undefined) {
      throw new BadAnswer(
        'the module has no handler: export default a function, export handler, or call Deno.serve',
      );
    }
    revoke({ name: 'read', path: code });
    control.send({ t: 'claimed', envMs: ready - start, importMs: now() - ready });
    calls.open(claim, handler);
    imports?.close();
  } catch (thrown) {
    control.send({ t: 'failed', error: describe(thrown) });
    return;
  }
  if (cache !== null) handBackSoon(cache, claim.harvest ? HARVESTS : 0, 20);
}

function handBackSoon(cache: ModuleCache, tries: number, waitMs: number) {
  after(waitMs, () => handBack(cache, tries, waitMs));
}

/** Deno writes V8's code cache some time after the module has run: looked for a few times, less and less often. */
function handBack(cache: ModuleCache, tries: number, waitedMs: number) {
  try {
    const bytes = tries > 0 ? cache.harvest() : null;
    if (bytes === null && tries > 1) {
      handBackSoon(cache, tries - 1, 2 * waitedMs);
      return;
    }
    cache.close();
    if (bytes !== null) control.send({ t: 'v8', data: bytes.toBase64() });
  } catch {
    // The function has made something else of what this needs: it has no cache then.
  }
}

/**
 * What was granted broadly at spawn is given up, before any of the function's code runs: nothing can be granted again.
 * Its own module stays readable until it is loaded. That import names its module by a value: Deno lets the graph of a
 * literal one read any file.
 */
function narrow(permissions: Claim['permissions']) {
  for (const path of [fileFolder(listenPath), denoDir, ...(permissions.read ? [] : [scratch])])
    revoke({ name: 'read', path });
  for (const path of [fileFolder(listenPath), denoDir]) revoke({ name: 'write', path });
  if (!permissions.write) revoke({ name: 'write' });
  if (!permissions.net) revoke({ name: 'net' });
  if (!permissions.env) revoke({ name: 'env' });
}

/** Of a path or a file URL. */
function fileFolder(file: string): string {
  return file.slice(file.startsWith('file://') ? 'file://'.length : 0, file.lastIndexOf('/'));
}
