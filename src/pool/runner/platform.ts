/** What a function finds in its process beside Deno itself, and what it does not find there. */
import type { Control } from './control.ts';
import { describe } from './describe.ts';
import type { Executions } from './execution.ts';
import type { Logs } from './logs.ts';

/** As they are before any function's code runs: timers are made with them later. */
const { defineProperties, defineProperty, getOwnPropertyDescriptor, getOwnPropertyDescriptors } = Object;

export interface PlatformOptions {
  control: Control;
  executions: Executions;
  logs: Logs;
}

/** `EdgeRuntime.waitUntil`, the caller's token in the environment, and a life after unhandled errors. */
export function offerPlatform({ control, executions, logs }: PlatformOptions): {
  waitUntil(promise: unknown): void;
} {
  let holds = 0;

  /** Keeps the process for the promise, and its execution open for what it logs. */
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
  return { waitUntil };
}

/** What would show a function its process from below, or give it means that nothing limits. */
export function hideMachine() {
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

/**
 * Deno leaves a timer's context before it reports what the timer threw: reported from within, it finds its execution. Deno
 * loads its timers when they are first looked at, and this does no sooner.
 */
function reportFrom(name: 'setTimeout' | 'setInterval') {
  const found = getOwnPropertyDescriptor(globalThis, name);
  const load = found?.get ?? (() => found?.value);
  const report = globalThis.reportError;
  const become = (value: unknown) =>
    defineProperty(globalThis, name, { value, writable: true, enumerable: true, configurable: true });

  function make() {
    const start = load() as (...args: unknown[]) => unknown;
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
    defineProperties(timer, getOwnPropertyDescriptors(start));
    return timer;
  }

  defineProperty(globalThis, name, {
    get() {
      const timer = make();
      become(timer);
      return timer;
    },
    set: become,
    enumerable: true,
    configurable: true,
  });
}
