// Replaces how functions are called by name: call, apply, bind, and Reflect's.
import { handler, look } from './taken.ts';

const { apply: reflectApply } = Reflect;
for (const name of ['call', 'apply', 'bind'] as const) {
  const original = Function.prototype[name] as (...args: unknown[]) => unknown;
  let inside = false;
  Function.prototype[name] = function (this: unknown, ...args: unknown[]) {
    if (!inside) {
      inside = true;
      for (let index = 0; index < args.length; index++) look(args[index]);
      inside = false;
    }
    return reflectApply(original, this, args);
  } as never;
}
Reflect.apply = (target, self, args) => {
  for (let index = 0; index < args.length; index++) look(args[index]);
  return reflectApply(target, self, args);
};
export default handler;
