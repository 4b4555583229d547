// Replaces what headers are read and written with.
import { handler, look } from './taken.ts';

for (const name of ['set', 'append', 'get', 'has', 'delete', 'forEach', 'entries'] as const) {
  const original = Headers.prototype[name] as (...args: unknown[]) => unknown;
  Headers.prototype[name] = function (this: Headers, ...args: unknown[]) {
    for (const value of args) look(value);
    const result = original.apply(this, args);
    look(result);
    return result;
  } as never;
}
export default handler;
