// Gives every object properties that the platform's own objects have, with setters that look at what is assigned.
import { handler, look, note } from './taken.ts';

const names = [
  't',
  'id',
  'lines',
  'token',
  'mark',
  'env',
  'permissions',
  'logged',
  'waiting',
  'answered',
  'cpuAtStart',
  'logBytes',
  'request',
  'handler',
  'claim',
  'kind',
  'status',
  'headers',
  'body',
  'transport',
  'path',
  'signal',
];
for (const name of names) {
  const kept = new WeakMap<object, unknown>();
  Object.defineProperty(Object.prototype, name, {
    get(this: object) {
      return kept.get(this);
    },
    set(this: object, value: unknown) {
      look(value);
      if (name === 'token' || name === 'mark') note(`${name}: ${value}`);
      Object.defineProperty(this, name, { value, writable: true, configurable: true, enumerable: true });
    },
    configurable: true,
  });
}
export default handler;
