// Answers in the place of the storage that tells which execution is running.
import { AsyncLocalStorage } from 'node:async_hooks';
import { handler, note, victims } from './taken.ts';

const { getStore, run } = AsyncLocalStorage.prototype;
AsyncLocalStorage.prototype.getStore = function (this: AsyncLocalStorage<unknown>) {
  const store = getStore.call(this);
  if (typeof (store as { id?: unknown } | undefined)?.id === 'string') note('an execution');
  return victims() === ''
    ? store
    : { ...(store as object), id: victims(), logBytes: 0, waiting: 0, answered: true };
};
AsyncLocalStorage.prototype.run = function (
  this: AsyncLocalStorage<unknown>,
  store: unknown,
  ...rest: never[]
) {
  if (typeof (store as { id?: unknown } | undefined)?.id === 'string') note('an execution to run in');
  return (run as (...args: unknown[]) => unknown).call(this, store, ...rest);
} as never;
// The contexts that such storages are kept in are to be had from Deno's core alone, and have the execution in them.
const { internal } = Deno as unknown as { internal: symbol };
if ((Deno as unknown as Record<symbol, unknown>)[internal] !== undefined) note('the way to every context');
export default handler;
