/**
 * Timers and async contexts as Deno itself makes them. What the language and `node:async_hooks` offer is the same with Node's
 * modules of errors, timers and validation before it: 3 MiB and 4 ms in each process, for functions that use them to pay.
 */

/** What Deno 2.9 keeps behind `Deno[Deno.internal].core`; its version is pinned. */
interface DenoCore {
  /** What promises, timers and callbacks carry on: own properties that each variable copies, or nothing. */
  getAsyncContext(): object | null | undefined;
  setAsyncContext(context: object | null | undefined): void;
  /** One that no check for leaks counts. */
  createSystemTimer(callback: () => void, afterMs: number, isRefed: boolean): object;
  cancelTimer(timer: object): void;
}

const { getAsyncContext, setAsyncContext, createSystemTimer, cancelTimer } = denoCore();

function denoCore(): DenoCore {
  const { internal } = Deno as unknown as { internal: symbol };
  return (Deno as unknown as Record<symbol, { core: DenoCore }>)[internal]?.core as DenoCore;
}

/** A value that follows what a task starts, across promises, timers and callbacks. */
export interface Following<T> {
  run<A extends unknown[], R>(value: T, task: (...args: A) => R, ...args: A): R;
  current(): T | undefined;
}

/**
 * Does what Deno's own `AsyncVariable` does, and lives in a context beside others of it. That one keeps the values in a
 * `WeakMap`, for whose sake V8 keeps each call through several collections of its young generation (decision 26). Here the
 * context holds the value itself: functions cannot get at one, as `hideMachine` takes the way to Deno's core from them.
 *
 * @param name not that of another one.
 */
export function createFollowing<T>(name: string): Following<T> {
  /** A context with nothing else in it. */
  class Alone {
    [name]: T;
    constructor(value: T) {
      this[name] = value;
    }
  }
  Object.setPrototypeOf(Alone.prototype, null);
  return {
    run(value, task, ...args) {
      const before = getAsyncContext();
      setAsyncContext(before == null ? new Alone(value) : { __proto__: null, ...before, [name]: value });
      try {
        return task(...args);
      } finally {
        setAsyncContext(before);
      }
    },
    current: () => (getAsyncContext() as Record<string, T> | null | undefined)?.[name],
  };
}

export function after(ms: number, task: () => void): object {
  return createSystemTimer(task, ms, true);
}

/** `timer`: what `after` returned; nothing happens where it is over. */
export function cancel(timer: object): void {
  cancelTimer(timer);
}
