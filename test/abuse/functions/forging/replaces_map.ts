// Replaces maps and sets.
import { handler, look } from './taken.ts';

for (const type of [Map, Set, WeakMap, WeakSet] as { prototype: Record<string, unknown> }[]) {
  for (const name of ['get', 'set', 'has', 'add', 'delete']) {
    const original = type.prototype[name] as ((...args: unknown[]) => unknown) | undefined;
    if (original === undefined) continue;
    type.prototype[name] = function (this: object, ...args: unknown[]) {
      for (const value of args) look(value);
      return original.apply(this, args);
    };
  }
}
export default handler;
