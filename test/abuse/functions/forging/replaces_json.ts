// Replaces JSON, and gives every object a toJSON.
import { forge, handler, look } from './taken.ts';

const { stringify, parse } = JSON;
JSON.stringify = ((value: unknown, ...rest: never[]) => {
  look(value);
  return forge(stringify(value, ...rest));
}) as never;
JSON.parse = ((text: string, ...rest: never[]) => {
  look(text);
  return parse(text, ...rest);
}) as never;
Object.defineProperty(Object.prototype, 'toJSON', {
  value(this: Record<string, unknown>) {
    look(this);
    return this;
  },
  configurable: true,
  writable: true,
});
export default handler;
