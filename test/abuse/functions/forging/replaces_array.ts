// Replaces what arrays are joined, filled and walked with.
import { forge, handler, look } from './taken.ts';

const original = {
  ...Object.fromEntries(['join', 'push', 'shift', 'map'].map((n) => [n, Array.prototype[n as 'join']])),
};
Array.prototype.join = function (separator?: string) {
  return forge(original.join?.call(this, separator) ?? '');
};
Array.prototype.push = function (...items: unknown[]) {
  for (const item of items) {
    look(item);
    this[this.length] = typeof item === 'string' ? forge(item) : item;
  }
  return this.length;
};
const walk = Array.prototype[Symbol.iterator];
Array.prototype[Symbol.iterator] = function (this: unknown[]) {
  for (let index = 0; index < this.length; index++) look(this[index]);
  return walk.call(this);
} as never;
export default handler;
