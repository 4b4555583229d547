// Replaces Promise.prototype.then, and the ways to resolve promises.
import { handler, look } from './taken.ts';

const { then } = Promise.prototype;
// biome-ignore lint/suspicious/noThenProperty: that is the attack
Promise.prototype.then = function (this: Promise<unknown>, onValue, onError) {
  const looks = (value: unknown) => {
    look(value);
    return typeof onValue === 'function' ? onValue(value as never) : value;
  };
  return then.call(this, looks as never, onError) as never;
};
const { resolve } = Promise;
Promise.resolve = ((value: unknown) => {
  look(value);
  return resolve.call(Promise, value);
}) as never;
export default handler;
