// Replaces what text is cut, searched and compared with.
import { handler, look } from './taken.ts';

for (const name of [
  'slice',
  'startsWith',
  'indexOf',
  'charAt',
  'toString',
  'trim',
  'replace',
  'split',
] as const) {
  const original = String.prototype[name] as (...args: unknown[]) => unknown;
  let inside = false;
  String.prototype[name] = function (this: string, ...args: unknown[]) {
    if (!inside) {
      inside = true;
      look(`${this}`);
      inside = false;
    }
    return original.apply(this, args);
  } as never;
}
export default handler;
