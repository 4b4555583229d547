/**
 * Timers and async contexts as Deno itself makes them. What the language and `node:async_hooks` offer is the same with Node's
 * modules of errors, timers and validation before it: 3 MiB and 4 ms in each process, for functions that use them to pay.
 */

/** What Deno 2.9 keeps behind `Deno[Deno.internal].core`; its version is pinned. */
interface DenoCore {
  AsyncVariable: new () => {
    /** Returns the context before, for `setAsyncContext`. */
    enter(value: unknown): unknown;
    get(): unknown;
  };
  setAsyncContext(context: unknown): void;
  /** One that no check for leaks counts. */
  createSystemTimer(callback: () => void, afterMs: number, isRefed: boolean): object;
  cancelTimer(timer: object): void;
}

const { AsyncVariable, setAsyncContext, createSystemTimer, cancelTimer } = denoCore();

function denoCore(): DenoCore {
  const { internal } = Deno as unknown as { internal: symbol };
  return (Deno as unknown as Record<symbol, { core: DenoCore }>)[internal]?.core as DenoCore;
}

/** A value that follows what a task starts, across promises, timers and callbacks. */
export interface Following<T> {
  run<A extends unknown[], R>(value: T, task: (...args: A) => R, ...args: A): R;
  current(): T | undefined;
}

export function createFollowing<T>(): Following<T> {
  const variable = new AsyncVariable();
  return {
    run(value, task, ...args) {
      const before = variable.enter(value);
      try {
        return task(...args);
      } finally {
        setAsyncContext(before);
      }
    },
    current: () => variable.get() as T | undefined,
  };
}

export function after(ms: number, task: () => void): object {
  return createSystemTimer(task, ms, true);
}

/** `timer`: what `after` returned; nothing happens where it is over. */
export function cancel(timer: object): void {
  cancelTimer(timer);
}
