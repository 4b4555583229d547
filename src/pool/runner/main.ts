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
import { describe } from './describe.ts';
import { createExecutions } from './execution.ts';
import { listenForFrames } from './frames.ts';
import { captureServe, findHandler } from './handler.ts';
import { captureConsole } from './logs.ts';

const [listenPath = '', framesPath = '', progressPath = '', controlPath = '', denoDir = '', scratch = ''] = (
  Deno.env.get('RUNNER_PATHS') ?? ''
).split('\n');
for (const name of Object.keys(Deno.env.toObject())) Deno.env.delete(name);
const { entries } = Object;
const setEnv = Deno.env.set.bind(Deno.env);
const now = performance.now.bind(performance);
const revoke = Deno.permissions.revokeSync.bind(Deno.permissions);

const control = await openControl(controlPath);
const executions = createExecutions();
const serve = Deno.serve;
const served = captureServe();

let holds = 0;

const logs = captureConsole(control, executions);
const calls = createCalls({ control, executions, logs, waitUntil });
serve({ path: listenPath, onListen: () => {}, onError: calls.unanswerable }, calls.answer);
void listenForFrames(framesPath, progressPath, calls.frames);
offerPlatform();
hideMachine();
control.send({ t: 'ready' });
const ahead = prepareAhead();
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
    case 'claim':
      void specialise(message.claim);
      break;
  }
}

/**
 * What every claim needs is loaded and compiled while the process waits: the module loader, the permission calls, and
 * the database that V8's code cache lies in. A blank process is ready without it.
 */
async function prepareAhead() {
  await import('data:text/javascript,export default 0');
  Deno.permissions.querySync({ name: 'net' });
  return { sqlite: await import('node:sqlite') };
}

/** Environment, module, permissions: after this the process belongs to the function. */
async function specialise(claim: Claim) {
  const start = now();
  let cache: ModuleCache | null = null;
  if (claim.v8 !== null || claim.harvest) cache = openModuleCache((await ahead).sqlite, denoDir, claim.entry);
  if (claim.v8 !== null) cache?.seed(Deno.readFileSync(claim.v8));
  for (const [name, value] of entries(claim.env)) setEnv(name, value);
  if (claim.permissions.read || claim.permissions.write) setEnv('TMPDIR', scratch);
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
    calls.open(claim, handler);
  } catch (thrown) {
    control.send({ t: 'failed', error: describe(thrown) });
    return;
  }
  revoke({ name: 'read', path: code });
  control.send({ t: 'claimed', envMs: ready - start, importMs: now() - ready });
  if (cache !== null) setTimeout(handBack, 20, cache, claim.harvest);
}

function handBack(cache: ModuleCache, harvest: boolean) {
  const bytes = harvest ? cache.harvest() : null;
  cache.close();
  if (bytes !== null) control.send({ t: 'v8', data: bytes.toBase64() });
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

/** `EdgeRuntime.waitUntil`, the caller's token in the environment, and a life after unhandled errors. */
function offerPlatform() {
  Object.defineProperty(globalThis, 'EdgeRuntime', {
    value: { waitUntil: (promise: unknown) => waitUntil(promise) },
    configurable: true,
  });
  const get = Deno.env.get;
  const tokens = new Set(['HEARTH_TOKEN', 'FLUXBASE_TOKEN']);
  Object.defineProperty(Deno.env, 'get', {
    value: (name: string) =>
      tokens.has(name) ? (executions.current()?.internal('x-hearth-token') ?? get(name)) : get(name),
    configurable: true,
  });
  globalThis.addEventListener('unhandledrejection', (event) => {
    event.preventDefault();
    logs.write(
      'error',
      `Unhandled rejection: ${describe(event.reason).stack ?? describe(event.reason).message}`,
    );
  });
  globalThis.addEventListener('error', (event) => {
    event.preventDefault();
    logs.write('error', `Uncaught error: ${describe(event.error).stack ?? event.message}`);
  });
  reportFrom('setTimeout');
  reportFrom('setInterval');
}

/** What would show a function its process from below, or give it means that nothing limits. */
function hideMachine() {
  const internals = Deno as unknown as { internal: symbol };
  Reflect.deleteProperty(Deno, internals.internal);
  // The sandbox ends a process that opens a port; so far it does not have to come.
  for (const name of ['listen', 'listenTls'] as const) {
    const refuse = () => {
      throw new Deno.errors.NotCapable('a function opens no port: it is called by the platform');
    };
    Object.defineProperty(Deno, name, { value: refuse, enumerable: true });
  }
  // It loads the machine's graphics driver into the process, and asks no permission.
  Reflect.deleteProperty(Navigator.prototype, 'gpu');
}

/** Deno leaves a timer's context before it reports what the timer threw: reported from within, it finds its execution. */
function reportFrom(name: 'setTimeout' | 'setInterval') {
  const start = Reflect.get<object, string>(globalThis, name);
  const report = globalThis.reportError;
  const timer = (callback: unknown, ...rest: unknown[]) => {
    if (typeof callback !== 'function') return start(callback, ...rest);
    const reported = (...args: unknown[]) => {
      try {
        callback(...args);
      } catch (thrown) {
        report(thrown);
      }
    };
    return start(reported, ...rest);
  };
  Object.defineProperties(timer, Object.getOwnPropertyDescriptors(start));
  Object.defineProperty(globalThis, name, { value: timer, writable: true, configurable: true });
}

function waitUntil(promise: unknown) {
  const execution = executions.current();
  const settled = Promise.resolve(promise).catch((thrown) => {
    logs.write('error', `waitUntil: ${describe(thrown).stack ?? describe(thrown).message}`);
  });
  if (execution !== undefined) execution.waiting++;
  if (holds++ === 0) control.send({ t: 'hold', on: true });
  void settled.then(() => {
    if (--holds === 0) control.send({ t: 'hold', on: false });
    if (execution === undefined) return;
    execution.waiting--;
    if (execution.answered && execution.waiting === 0)
      control.send({ t: 'end', id: execution.id, cpuUs: -1 });
  });
}
